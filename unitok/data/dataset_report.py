"""Reads a whole data set once and reports its content and its faults. Knows no tokenizer and no model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from unitok.api.contact_sheet import sheet, write_png
from unitok.console import printable
from unitok.data.faults import Fault, Faults, write_report
from unitok.data.source import Source, read
from unitok.document import Document
from unitok.modalities.text import clean

SHEET = "pictures.png"
SIDE = 128
MAX_LABEL = 120


class DocumentStats(NamedTuple):
    """Statistics of one document: image sizes, text lengths, the modalities of its other segments, and a
    thumbnail with its label, if wanted."""

    sizes: list[tuple[int, int]]
    letters: list[int]
    others: list[str]
    repaired: int
    thumbnail: Image.Image | None
    label: str


class _StatsDataset(Dataset):
    """The statistics of each document of a source, or its fault; `shown` indices get a thumbnail."""

    def __init__(self, source: Source, shown: set[int]):
        self.source, self.shown = source, shown

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> DocumentStats | Fault:
        document = read(self.source, index)
        return document if isinstance(document, Fault) else _measure(document, show=index in self.shown)


def _measure(document: Document, *, show: bool) -> DocumentStats:
    images = [segment.content for segment in document if segment.modality == "image"]
    texts = [segment.content for segment in document if segment.modality == "text"]
    thumbnail = images[0].copy() if show and images else None
    if thumbnail is not None:
        thumbnail.thumbnail((SIDE, SIDE))
    label = clean(printable(" | ".join(texts).replace("\n", " "))[:MAX_LABEL] if show else "")
    repaired = sum(clean(text) != text for text in texts)
    others = [segment.modality for segment in document if segment.modality not in ("text", "image")]
    sizes = [image.size for image in images]
    return DocumentStats(sizes, [*map(len, texts)], others, repaired, thumbnail, label)


def check_source(
    source: Source,
    *,
    out: str | Path,
    images: int = 64,
    workers: int = 0,
    most_faults: float = 1.0,
    progress: bool = False,
) -> dict[str, Any]:
    """Reads every document once, writes data_report.json and a contact sheet, and returns the report.

    Args:
        source: the documents.
        out: folder of the report and the contact sheet, made if missing.
        images: most images on the contact sheet, evenly spread over the set.
        workers: processes that read; 0 reads in this one.
        most_faults: share of corrupt samples, after the first 1,000, that ends the check; 1 never does.
        progress: show a progress bar.

    Raises:
        TooManyFaults: see `most_faults`; the report is written all the same.
    """
    faults, stats = Faults(max_share=most_faults, name="the data"), []
    shown = set(range(0, len(source), max(1, -(-len(source) // max(1, images))))) if images else set()
    try:
        faults.add(*source.faults)
        for result in _measure_all(source, shown, workers=workers, progress=progress):
            if isinstance(result, Fault):
                faults.add(result)
                continue
            faults.add_intact()
            faults.repaired += result.repaired
            stats.append(result)
    finally:
        report = faults.report() | describe(stats)
        write_report(out, report)
        shown_stats = [one for one in stats if one.thumbnail is not None]
        if shown_stats:
            labels = [one.label for one in shown_stats]
            write_png(Path(out) / SHEET, sheet([one.thumbnail for one in shown_stats], labels))
    return report


def _measure_all(
    source: Source, shown: set[int], *, workers: int, progress: bool
) -> Iterator[DocumentStats | Fault]:
    loader = DataLoader(_StatsDataset(source, shown), batch_size=64, num_workers=workers, collate_fn=list)
    for batch in track(loader, description="reading", transient=True, disable=not progress):
        yield from batch


def describe(stats: Sequence[DocumentStats]) -> dict[str, Any]:
    """Counts the segments of documents, and gives the spread of widths, heights and lengths."""
    sizes = [size for one in stats for size in one.sizes]
    letters = [length for one in stats for length in one.letters]
    kinds = Counter(map(_kind, stats))
    return {
        "pictures": len(sizes),
        "texts": len(letters),
        "documents": dict(kinds.most_common(8)),
        "width": spread([width for width, _ in sizes]),
        "height": spread([height for _, height in sizes]),
        "letters": spread(letters),
    }


def _kind(document: DocumentStats) -> str:
    """The numbers of a document's segments, such as "1 texts, 1 pictures, 2 box"."""
    others = [f"{count} {name}" for name, count in Counter(document.others).items()]
    return ", ".join([f"{len(document.letters)} texts", f"{len(document.sizes)} pictures", *others])


def spread(values: Sequence[int]) -> dict[str, int] | None:
    """Smallest, median and largest value; None if there is none."""
    if not values:
        return None
    ordered = sorted(values)
    return {"least": ordered[0], "median": ordered[len(ordered) // 2], "most": ordered[-1]}


def to_lines(report: dict[str, Any]) -> list[str]:
    """Formats a report as lines of text."""
    lines = [f"{report['samples']} samples: {report['whole']} intact, {report['faults']} corrupt"]
    lines += [f"  {count} documents of {kind}" for kind, count in report["documents"].items()]
    for name, unit in (("width", "pixels"), ("height", "pixels"), ("letters", "letters a text")):
        if report[name]:
            least, median, most = report[name].values()
            lines.append(f"  {name}: {least} to {most} {unit}, median {median}")
    if report["repaired_texts"]:
        lines.append(f"  {report['repaired_texts']} texts have lone surrogates, replaced by U+FFFD")
    for reason, count in report["reasons"].items():
        first = next((fault for fault in report["listed"] if fault["reason"] == reason), None)
        lines.append(f"  fault: {count} × {reason}" + (f", such as {Fault(**first)}" if first else ""))
    return [printable(line) for line in lines]
