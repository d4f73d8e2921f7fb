"""Reads a whole data set once and reports its content and its faults. Knows no tokenizer and no model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from unitok.console import printable
from unitok.contact_sheet import sheet, write_png
from unitok.data.faults import Fault, Faults, write_report
from unitok.data.source import Source, read
from unitok.document import Document
from unitok.modalities.text import clean

SHEET = "pictures.png"
SIDE = 128
MOST_LABEL = 120


class Looked(NamedTuple):
    """What is kept of a document: the sizes of its pictures, the lengths of its texts, a small picture."""

    sizes: list[tuple[int, int]]
    letters: list[int]
    repaired: int
    small: Image.Image | None
    label: str


class _Looks(Dataset):
    """Every document of a source as what is kept of it, or its fault; `shown` indices keep a picture."""

    def __init__(self, source: Source, shown: set[int]):
        self.source, self.shown = source, shown

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Looked | Fault:
        document = read(self.source, index)
        return document if isinstance(document, Fault) else _look(document, keep=index in self.shown)


def _look(document: Document, *, keep: bool) -> Looked:
    images = [segment.content for segment in document if segment.modality == "image"]
    texts = [segment.content for segment in document if segment.modality == "text"]
    small = images[0].copy() if keep and images else None
    if small is not None:
        small.thumbnail((SIDE, SIDE))
    label = printable(" | ".join(texts).replace("\n", " "))[:MOST_LABEL] if keep else ""
    repaired = sum(clean(text) != text for text in texts)
    return Looked([image.size for image in images], [*map(len, texts)], repaired, small, clean(label))


def check_source(
    source: Source,
    *,
    out: str | Path,
    pictures: int = 64,
    workers: int = 0,
    most_faults: float = 1.0,
    progress: bool = False,
) -> dict[str, Any]:
    """Read every document once; write data_report.json and a sheet of pictures; return the report.

    Args:
        source: what is read.
        out: folder of the report and the sheet, made if missing.
        pictures: most pictures on the sheet, evenly spread over the set.
        workers: processes that read; 0 reads in this one.
        most_faults: share of faulty samples, after the first 1,000, that ends the reading; 1 never does.
        progress: show a bar.

    Raises:
        TooManyFaults: see `most_faults`; the report is written all the same.
    """
    faults, seen = Faults(most=most_faults, name="the data"), []
    shown = set(range(0, len(source), max(1, -(-len(source) // max(1, pictures))))) if pictures else set()
    try:
        faults.add(*source.faults)
        for looked in _looks(source, shown, workers=workers, progress=progress):
            if isinstance(looked, Fault):
                faults.add(looked)
                continue
            faults.seen()
            faults.repaired += looked.repaired
            seen.append(looked)
    finally:
        report = faults.report() | describe(seen)
        write_report(out, report)
        small = [(looked.small, looked.label) for looked in seen if looked.small is not None]
        if small:
            images, labels = zip(*small, strict=True)
            write_png(Path(out) / SHEET, sheet(images, labels))
    return report


def _looks(source: Source, shown: set[int], *, workers: int, progress: bool) -> Iterator[Looked | Fault]:
    loader = DataLoader(_Looks(source, shown), batch_size=64, num_workers=workers, collate_fn=list)
    for batch in track(loader, description="reading", transient=True, disable=not progress):
        yield from batch


def describe(seen: Sequence[Looked]) -> dict[str, Any]:
    """Counts of documents' parts, and the spread of widths, heights and lengths."""
    sizes = [size for looked in seen for size in looked.sizes]
    letters = [length for looked in seen for length in looked.letters]
    kinds = Counter(f"{len(looked.letters)} texts, {len(looked.sizes)} pictures" for looked in seen)
    return {
        "pictures": len(sizes),
        "texts": len(letters),
        "documents": dict(kinds.most_common(8)),
        "width": spread([width for width, _ in sizes]),
        "height": spread([height for _, height in sizes]),
        "letters": spread(letters),
    }


def spread(values: Sequence[int]) -> dict[str, int] | None:
    """Smallest, median and largest; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return {"least": ordered[0], "median": ordered[len(ordered) // 2], "most": ordered[-1]}


def in_words(report: dict[str, Any]) -> list[str]:
    """A report as lines for people."""
    lines = [f"{report['samples']} samples: {report['whole']} whole, {report['faults']} faulty"]
    lines += [f"  {count} documents of {kind}" for kind, count in report["documents"].items()]
    for name, unit in (("width", "pixels"), ("height", "pixels"), ("letters", "letters a text")):
        if report[name]:
            least, median, most = report[name].values()
            lines.append(f"  {name}: {least} to {most} {unit}, median {median}")
    if report["repaired_texts"]:
        lines.append(f"  {report['repaired_texts']} texts have lone surrogates, which are replaced by U+FFFD")
    for reason, count in report["reasons"].items():
        first = next((fault for fault in report["listed"] if fault["reason"] == reason), None)
        lines.append(f"  fault: {count} × {reason}" + (f", such as {Fault(**first)}" if first else ""))
    return [printable(line) for line in lines]
