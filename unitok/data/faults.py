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
from unitok.json_files import build_dataclass, parse_object

log = logging.getLogger(__name__)

REPORT, JOURNAL = "data_report.json", "data_faults.jsonl"
MAX_LISTED = 10_000
"""Most faults that are listed one by one; further ones are only counted."""

Reason = Literal[
    # images
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
    """One sample that is skipped.

    Args:
        reason: the kind of fault, by which faults are counted.
        path: the file; a file inside a shard is SHARD:NAME.
        detail: details of this fault.
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
        text = f"{place}: {self.reason}" + (f": {detail}" if detail else "")
        return text.encode("utf-8", "backslashreplace").decode()  # file names may hold anything


class SampleError(ValueError):
    """Raised by a source for a corrupt sample when it is read; `fault` describes it."""

    def __init__(self, reason: Reason, path: str | Path, detail: str = "", *, offset: int | None = None):
        self.fault = Fault(reason, str(path), detail, offset)
        super().__init__(f"{path}: {detail or reason}")

    def __reduce__(self):
        fault = self.fault
        return _rebuild, (fault.reason, fault.path, fault.detail, fault.offset)


def _rebuild(reason: Reason, path: str, detail: str, offset: int | None) -> SampleError:
    return SampleError(reason, path, detail, offset=offset)


def log_faults(*faults: Fault) -> None:
    """Logs samples that are skipped."""
    for fault in faults:
        log.warning("skipped: %s", fault)


class TooManyFaults(ValueError):
    """More faults than a run tolerates."""


class Faults:
    """Counts samples and faults, and raises TooManyFaults when the share of faults is too high.

    Args:
        max_share: share of corrupt samples above which counting raises TooManyFaults; 1 never raises.
        after: samples to read before the share is checked, or all `size` samples of a smaller set.
        size: samples of the set, corrupt ones included; None if unknown.
        name: of the data, for messages.
        journal: file to which each fault is appended as a line of JSON, by all processes that read.
        readers: processes that read, this one included; the share is over all of them.
    """

    def __init__(
        self,
        *,
        max_share: float = 0.1,
        after: int = 1000,
        size: int | None = None,
        name: str = "the data",
        journal: Path | None = None,
        readers: int = 1,
    ):
        if not 0 <= max_share <= 1 or after < 1:
            raise ValueError(f"max_share must be in [0, 1] and after at least 1, got {max_share} and {after}")
        self.max_share, self.name, self.journal = max_share, name, journal
        self.after = max(1, after if size is None else min(after, size))
        self._by_reader = torch.zeros(readers, 2, dtype=torch.long).share_memory_()
        self.samples = self.repaired = 0
        self.counts: Counter[str] = Counter()
        self.listed: list[Fault] = []

    @property
    def total(self) -> int:
        """Faults of all reasons."""
        return self.counts.total()

    def add_repaired(self) -> None:
        """Counts a text whose lone surrogates were replaced."""
        self.repaired += 1

    def add_intact(self, count: int = 1) -> None:
        """Counts intact samples."""
        self.samples += count
        self._check_share(count, faulty=0)

    def add(self, *faults: Fault) -> None:
        """Counts and logs corrupt samples."""
        for fault in faults:
            self.samples += 1
            self.counts[fault.reason] += 1
            if len(self.listed) < MAX_LISTED:
                self.listed.append(fault)
        log_faults(*faults)
        if self.journal is not None and faults:
            append_lines(self.journal, [json.dumps(asdict(fault)) for fault in faults])
        self._check_share(len(faults), faulty=len(faults))

    def _check_share(self, samples: int, *, faulty: int) -> None:
        """Adds samples to the counts of all readers. Raises TooManyFaults if the share is too high."""
        worker = get_worker_info()
        reader = worker.id + 1 if worker is not None and len(self._by_reader) > 1 else 0
        self._by_reader[reader] += torch.tensor([samples, faulty])
        samples, faulty = self._by_reader.sum(dim=0).tolist()
        if samples >= self.after and faulty > self.max_share * samples:
            first = f": {summarize(self.counts)}. The first is {self.listed[0]}" if self.listed else ""
            raise TooManyFaults(
                f"{self.name}: {faulty} of {samples} samples are corrupt, more than "
                f"{self.max_share:.0%}{first}; raise most_faults to tolerate more"
            )

    def report(self) -> dict[str, Any]:
        """All counts, as written to `data_report.json`."""
        return {
            "samples": self.samples,
            "whole": self.samples - self.total,
            "faults": self.total,
            "repaired_texts": self.repaired,
            "reasons": dict(self.counts.most_common()),
            "listed": [asdict(fault) for fault in self.listed],
        }


def summarize(counts: Counter[str]) -> str:
    """Formats counts by reason in one line, the most frequent first."""
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "no faults"


def write_report(path: str | Path, report: dict[str, Any]) -> Path:
    """Writes `data_report.json` into a folder, atomically, and returns its path."""
    file = Path(path) / REPORT
    write_text(file, json.dumps(report, indent=2) + "\n")
    return file


def read_journal(journal: Path) -> dict[str, Any]:
    """Builds a report from the faults that all processes of a run journaled, each counted once."""
    lines = journal.read_bytes().splitlines() if journal.is_file() else []
    parsed = [_parse_fault(line) for line in dict.fromkeys(lines)]
    faults = [fault for fault in parsed if fault is not None]
    if len(faults) < len(parsed):
        log.warning("%s: %d corrupt lines are not counted", journal, len(parsed) - len(faults))
    return {
        "faults": len(faults),
        "reasons": dict(count_reasons(faults).most_common()),
        "listed": [asdict(fault) for fault in faults[:MAX_LISTED]],
    }


def _parse_fault(line: bytes) -> Fault | None:
    """Parses a line of a journal; None if it was cut short, as by a killed process."""
    try:
        return build_dataclass(Fault, parse_object(line, source="a fault"))
    except ValueError:
        return None


def count_reasons(faults: Iterable[Fault]) -> Counter[str]:
    """Counts faults by reason."""
    return Counter(fault.reason for fault in faults)


def run_faults(trainer: Any, name: str, *, size: int | None, max_share: float, workers: int = 0) -> Faults:
    """Returns the fault counter for one split of the data; all processes of a run journal in its folder."""
    journal = Path(trainer.default_root_dir) / JOURNAL if trainer else None
    rank_size = size if size is None or trainer is None else -(-size // trainer.world_size)
    return Faults(
        max_share=max_share, size=rank_size, name=f"data.{name}", journal=journal, readers=1 + workers
    )


def write_run_report(trainer: Any) -> None:
    """Writes data_report.json into a run's folder and logs the totals, if there was any fault."""
    folder = Path(trainer.default_root_dir) if trainer else None
    if folder is None or not trainer.is_global_zero or not (folder / JOURNAL).is_file():
        return
    report = read_journal(folder / JOURNAL)
    file = write_report(folder, report)
    log.warning(
        "%s: %d samples were skipped: %s", file, report["faults"], summarize(Counter(report["reasons"]))
    )
