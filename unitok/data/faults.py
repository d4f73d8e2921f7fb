"""Corrupt samples: skipped, counted by reason, reported, and too many of them. Knows no format and no
codes."""

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch.utils.data import get_worker_info

from unitok.atomic_files import append_lines, write_text
from unitok.json_files import made_of, parse_object

log = logging.getLogger(__name__)

REPORT, JOURNAL = "data_report.json", "data_faults.jsonl"
LISTED = 10_000
"""Faults that are listed one by one; more are counted only."""

Reason = Literal[
    # pictures
    "no picture", "missing file", "empty file", "not a picture", "picture too large", "damaged picture",
    "url, not a file", "path outside the folder",
    # texts
    "no caption", "empty caption", "caption is no text", "not UTF-8", "text too large",
    # records
    "not JSON", "not a JSON object", "not a row", "missing column", "parts do not match", "damaged metadata",
    # archives
    "broken tar header", "truncated archive", "damaged archive", "archive too large", "file twice",
    "dot in the name",
    # anything else
    "unreadable", "cannot be encoded",
]  # fmt: skip
REASONS: tuple[str, ...] = get_args(Reason)


@dataclass(frozen=True)
class Fault:
    """One sample that is left out.

    Args:
        reason: what is wrong, in words that are counted.
        path: the file; a file inside a shard is SHARD:NAME.
        detail: what is wrong with this one.
        offset: bytes from the file's beginning to the fault (in a tar, its header or content; in JSON lines
            and csv, the line), or None.
    """

    reason: Reason
    path: str
    detail: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        place = self.path if self.offset is None else f"{self.path} (byte {self.offset})"
        detail = "" if self.detail == self.reason else self.detail.removeprefix(f"{self.reason}: ")
        said = f"{place}: {self.reason}" + (f": {detail}" if detail else "")
        return said.encode("utf-8", "backslashreplace").decode()  # names of files may hold anything


class SampleError(ValueError):
    """A sample that is damaged; raised by a source when it is read. `fault` says how."""

    def __init__(self, reason: Reason, path: str | Path, detail: str = "", *, offset: int | None = None):
        self.fault = Fault(reason, str(path), detail, offset)
        super().__init__(f"{path}: {detail or reason}")

    def __reduce__(self):
        fault = self.fault
        return _rebuilt, (fault.reason, fault.path, fault.detail, fault.offset)


def _rebuilt(reason: Reason, path: str, detail: str, offset: int | None) -> SampleError:
    return SampleError(reason, path, detail, offset=offset)


def tell(*faults: Fault) -> None:
    """Name samples that are left out in the log."""
    for fault in faults:
        log.warning("dropped: %s", fault)


class TooManyFaults(ValueError):
    """More faults than a run puts up with."""


class Faults:
    """Counts samples and faults, and stops where the share of faults is too high.

    Args:
        most: share of faulty samples from which `add` and `seen` raise TooManyFaults; 1 never stops.
        after: samples that must have been seen before the share counts, or all `of` the set if it has fewer.
        of: samples of the set, those that are faulty included; None where that is not known.
        name: of the data, for messages.
        journal: file to which each fault is appended as a line of JSON, by all processes that read.
        readers: processes that read, this one included; the share is that of all.
    """

    def __init__(
        self,
        *,
        most: float = 0.1,
        after: int = 1000,
        of: int | None = None,
        name: str = "the data",
        journal: Path | None = None,
        readers: int = 1,
    ):
        if not 0 <= most <= 1 or after < 1:
            raise ValueError(f"most={most} is not a share from 0 to 1, or after={after} is below 1")
        self.most, self.name, self.journal = most, name, journal
        self.after = max(1, after if of is None else min(after, of))
        self._by_reader = torch.zeros(readers, 2, dtype=torch.long).share_memory_()
        self.samples = self.repaired = 0
        self.counts: Counter[str] = Counter()
        self.listed: list[Fault] = []

    @property
    def total(self) -> int:
        """Faults of all reasons."""
        return self.counts.total()

    def repair(self) -> None:
        """Count a text whose lone surrogates were replaced."""
        self.repaired += 1

    def seen(self, count: int = 1) -> None:
        """Count samples that were whole."""
        self.samples += count
        self._share(count, faulty=0)

    def add(self, *faults: Fault) -> None:
        """Count faulty samples, and name them in the log."""
        for fault in faults:
            self.samples += 1
            self.counts[fault.reason] += 1
            if len(self.listed) < LISTED:
                self.listed.append(fault)
        tell(*faults)
        if self.journal is not None and faults:
            append_lines(self.journal, [json.dumps(asdict(fault)) for fault in faults])
        self._share(len(faults), faulty=len(faults))

    def _share(self, samples: int, *, faulty: int) -> None:
        """Let all readers know of samples. Raises TooManyFaults where too many of all are faulty."""
        worker = get_worker_info()
        reader = worker.id + 1 if worker is not None and len(self._by_reader) > 1 else 0
        self._by_reader[reader] += torch.tensor([samples, faulty])
        samples, faulty = self._by_reader.sum(dim=0).tolist()
        if samples >= self.after and faulty > self.most * samples:
            first = f": {summary(self.counts)}. The first is {self.listed[0]}" if self.listed else ""
            raise TooManyFaults(
                f"{self.name}: {faulty} of {samples} samples are faulty, more than {self.most:.0%}{first}; "
                "most_faults lets more pass"
            )

    def report(self) -> dict[str, Any]:
        """Everything counted, as `data_report.json` has it."""
        return {
            "samples": self.samples,
            "whole": self.samples - self.total,
            "faults": self.total,
            "repaired_texts": self.repaired,
            "reasons": dict(self.counts.most_common()),
            "listed": [asdict(fault) for fault in self.listed],
        }


def summary(counts: Counter[str]) -> str:
    """Reasons and their counts in one line, the most frequent first."""
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "no faults"


def write_report(path: str | Path, report: dict[str, Any]) -> Path:
    """Write `data_report.json` into a folder; it is complete or absent. Returns its path."""
    file = Path(path) / REPORT
    write_text(file, json.dumps(report, indent=2) + "\n")
    return file


def journal_report(journal: Path) -> dict[str, Any]:
    """What all processes of a run have written, as a report; a fault met in several epochs counts once."""
    lines = journal.read_bytes().splitlines() if journal.is_file() else []
    read = [_read_fault(line) for line in dict.fromkeys(lines)]
    faults = [fault for fault in read if fault is not None]
    if len(faults) < len(read):
        log.warning("%s: %d of its lines are damaged and not counted", journal, len(read) - len(faults))
    return {
        "faults": len(faults),
        "reasons": dict(by_reason(faults).most_common()),
        "listed": [asdict(fault) for fault in faults[:LISTED]],
    }


def _read_fault(line: bytes) -> Fault | None:
    """A line of a journal; None where it was cut short, as by a process that was killed."""
    try:
        return made_of(Fault, parse_object(line, source="a fault"))
    except ValueError:
        return None


def by_reason(faults: Iterable[Fault]) -> Counter[str]:
    """How many faults there are of each reason."""
    return Counter(fault.reason for fault in faults)


def faults_of_run(trainer: Any, name: str, *, of: int | None, most: float, workers: int = 0) -> Faults:
    """What counts the faults of one split of the data; all processes of a run note them in its folder."""
    journal = Path(trainer.default_root_dir) / JOURNAL if trainer else None
    share = of if of is None or trainer is None else -(-of // trainer.world_size)
    return Faults(most=most, of=share, name=f"data.{name}", journal=journal, readers=1 + workers)


def report_run(trainer: Any) -> None:
    """Write data_report.json into a run's folder, and the totals into the log, if there was any fault."""
    folder = Path(trainer.default_root_dir) if trainer else None
    if folder is None or not trainer.is_global_zero or not (folder / JOURNAL).is_file():
        return
    report = journal_report(folder / JOURNAL)
    file = write_report(folder, report)
    log.warning(
        "%s: %d samples were left out: %s", file, report["faults"], summary(Counter(report["reasons"]))
    )
