"""Small pictures, tables and shards for tests of readers, and documents in a form that can be compared."""

import csv
import json
import pickle
import tarfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image

from unitok.data.readers.detect_format import detect
from unitok.data.source import Source
from unitok.data.sources import open_data
from unitok.document import Document

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
NAMES = {value: name for name, value in COLOURS.items()}


class Listed(Source):
    """The documents of a list; None is corrupt."""

    def __init__(self, documents):
        self.documents, self.faults = documents, []

    def __len__(self):
        return len(self.documents)

    def __getitem__(self, index):
        if self.documents[index] is None:
            raise ValueError("corrupt")
        return self.documents[index]


def png(colour: str = "red", size: tuple[int, int] = (4, 4)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_images(folder: Path, *colours: str) -> None:
    """COLOUR.png for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for colour in colours:
        (folder / f"{colour}.png").write_bytes(png(colour))


def write_lines(path: Path, records: Iterable) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_tar(path: Path, files: Mapping[str, bytes], *, mode: str = "w", **options) -> Path:
    with tarfile.open(path, mode, **options) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return path


def told(document: Document) -> list[str]:
    """Each segment in words: a text, or an image's colour in <>; ~ before what is not learned."""
    return [
        ("" if segment.learn else "~")
        + (segment.content if segment.modality == "text" else f"<{NAMES[segment.content.getpixel((0, 0))]}>")
        for segment in document
    ]


def all_told(source) -> list[list[str]]:
    return [told(source[index]) for index in range(len(source))]


def whole(path, **options) -> Source:
    """What is at a path, which survives being sent to a worker."""
    source = open_data(path, **options)
    return pickle.loads(pickle.dumps(source))


def formats(path) -> str:
    return detect(path).reader.format


def write_csv(path, rows, delimiter=","):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path, rows, **options):
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, **options)
