"""What benchmarks share: a command line, two sides in one process, in turn; medians, memory, a table and its
JSON."""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

LOG_WIDTH = 150
"""Characters of a table's lines in a file or pipe, of which nobody knows the width."""


class Row(NamedTuple):
    """A figure, how many times better it is than the peer's, and the least (or most) that is wanted."""

    name: str
    value: float
    unit: str
    ratio: float | None
    bar: float | None
    ok: bool
    remark: str = ""


def command_line(
    about: str, *, rounds: int | None = None, threads: int | None = None
) -> argparse.ArgumentParser:
    """A parser that knows --json and, where they have a default, --rounds and --threads."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    if rounds is not None:
        parser.add_argument(
            "--rounds", type=int, default=rounds, help="times that each side runs (default %(default)s)"
        )
    if threads is not None:
        parser.add_argument("--threads", type=int, default=threads, help="CPU threads (default %(default)s)")
    return parser


class Seconds(NamedTuple):
    """Medians of both sides."""

    ours: float
    theirs: float


def alternate(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Seconds:
    """Run both in turn, after one run of each that does not count.

    `clock` may be the processor's time (`time.process_time`), for a machine that is busy.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side, run in enumerate((ours, theirs)):
            started = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                taken[side].append(clock() - started)
    return Seconds(*map(statistics.median, taken))


def peak_memory(run: Callable[[], object]) -> float:
    """MB by which the process's resident memory rises at most while something runs (sampled every 0.5 ms)."""
    run()
    before, most, done = _resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.0005):
            most[0] = max(most[0], _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(most[0] - before, 0) / 2**20


def _resident() -> int:
    """Bytes of memory that the process holds."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * 4096


def finish(rows: Sequence[Row], path: str | None) -> None:
    """Print the table; write {name, value, unit, ratio, bar, ok} to a file if one is given."""
    table = Table("what", "ours", "times the peer", "bar", "", "")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.value:.3g} {row.unit}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.bar is None else f"{row.bar:g}",
            "ok" if row.ok else "MISSED",
            row.remark,
        )
    console = Console()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(table)
    if path is not None:
        names = ("name", "value", "unit", "ratio", "bar", "ok")
        content = [{name: getattr(row, name) for name in names} for row in rows]
        Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
