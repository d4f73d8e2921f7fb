"""Tools of all benchmarks: a command line, alternating runs of two sides, medians, memory, a table and its
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
"""Characters per line of a table in a file or pipe."""


class Row(NamedTuple):
    """A figure, its ratio to the peer's (higher is better), and the bar it must reach."""

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
    """A parser with --json and, if their defaults are given, --rounds and --threads."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the rows to this file")
    if rounds is not None:
        parser.add_argument(
            "--rounds", type=int, default=rounds, help="runs of each side (default %(default)s)"
        )
    if threads is not None:
        parser.add_argument("--threads", type=int, default=threads, help="CPU threads (default %(default)s)")
    return parser


class Seconds(NamedTuple):
    """Median seconds of both sides."""

    ours: float
    theirs: float


def alternate(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Seconds:
    """Run both sides in turn, after a warm-up run of each.

    `clock` may be processor time (`time.process_time`), for a busy machine.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side, run in enumerate((ours, theirs)):
            start = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                times[side].append(clock() - start)
    return Seconds(*map(statistics.median, times))


def peak_memory(run: Callable[[], object]) -> float:
    """Peak increase of the process's resident memory during a run, in MB (sampled every 0.5 ms)."""
    run()
    before, peak, done = _resident(), [0], threading.Event()

    def sample() -> None:
        while not done.wait(0.0005):
            peak[0] = max(peak[0], _resident())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        run()
    finally:
        done.set()
        sampler.join()
    return max(peak[0] - before, 0) / 2**20


def _resident() -> int:
    """The process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * 4096


def finish(rows: Sequence[Row], path: str | None) -> None:
    """Print the table, and write {name, value, unit, ratio, bar, ok} to a file if one is given."""
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
