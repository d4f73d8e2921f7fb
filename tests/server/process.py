"""A server in a process of its own, for tests of the process as a whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from unitok.api.unitok import UniTok

ROOT = Path(__file__).parents[2]


class Child(NamedTuple):
    """A server process."""

    url: str
    process: subprocess.Popen
    log: Path
    errors: Path

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 2**20

    def outside(self) -> list[str]:
        """Other hosts that it contacted."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def stop(self, sent: int = signal.SIGTERM, *, seconds: float = 60) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(sent)
        return self.process.wait(seconds)


@contextmanager
def child(model: UniTok, folder: Path, *options: str) -> Iterator[Child]:
    """Start a server of a model; it is killed at the end unless it was stopped."""
    model.save_pretrained(folder / "model")
    log, errors = folder / "outside.log", folder / "errors.log"
    command = [sys.executable, "-m", "tests.server.child", str(log), "--model", str(folder / "model")]
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--port", "0", "--device", "cpu", "--threads", "1", *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), errors.read_text()
        yield Child(line.split("/v1")[0], process, log, errors)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
