"""MNIST's idx files: images in one array, classes in another. Knows no names of classes."""

import gzip
import re
import struct
import zlib
from itertools import product
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from unitok.data.faults import Fault, Reason, SampleError
from unitok.data.files.gzip_shards import RATIO, SMALL
from unitok.data.files.list_files import visible
from unitok.data.files.open_records import Look
from unitok.data.files.splits import SPLITS, Part, split_said
from unitok.data.source import Concat, Reader, Source, of_split
from unitok.document import Document, Segment

IMAGES = re.compile(r"(.*)images[-.]idx3[-.]ubyte(?:\.gz)?")
BYTES = 0x08
MOST = 2**32
"""Bytes of an array that are believed."""


class Array(NamedTuple):
    """The values that are there, and why there are fewer than the header promises."""

    values: np.ndarray
    cut: Fault | None


class Idx(Reader):
    """Pictures of an idx file (MNIST and its kin, also .gz), with their class as the caption.

    Args:
        path: the file of pictures, such as train-images-idx3-ubyte.gz; or a folder with it and its labels.
        part: of a folder: train or test (which MNIST calls t10k); None takes the only images there are.
        names: of the classes, in the order of their numbers; if absent the numbers.
        template: the caption; {} stands for the class.

    Raises:
        FileNotFoundError: there is no such file, or no labels beside it.
        ValueError: it is no idx file.
    """

    format = "idx"
    looks_like = (
        "a file named …-images-idx3-ubyte, …-images.idx3-ubyte or .gz (MNIST) with its labels beside it, or "
        "their folder"
    )

    def __init__(
        self,
        path: str,
        *,
        part: Part | None = None,
        names: list[str] | None = None,
        template: str = "{}",
    ):
        files = [file for file in idx_files(Path(path)) if part in (None, split_of(file))]
        labels = labels_of(files[0]) if len(files) == 1 else None
        if labels is None:
            found = ", ".join(file.name for file in files) or "none"
            wanted = "one file …-images-idx3-ubyte with its …-labels-idx1-ubyte"
            raise FileNotFoundError(f"{path}: expected {wanted}, found {found}; give the path of one")
        self.path = files[0]
        self.names, self.template, self.faults = names, template, []
        self.pictures, self.labels = self._array(self.path, dimensions=3), self._array(labels, dimensions=1)
        if len(self.pictures) != len(self.labels) and not self.faults:
            detail = f"{len(self.pictures)} pictures, {len(self.labels)} labels"
            self.faults.append(Fault("parts do not match", str(self.path), detail))

    @classmethod
    def fits(cls, look: Look) -> bool:
        return any(map(labels_of, idx_files(look.path)))

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        files = idx_files(path) if path.is_dir() else []
        if part is None and len(files) > 1:
            return Concat([cls(str(file), **settings) for file in files])
        there = [split for split in SPLITS if split in map(split_of, files)]
        if part is None or not there:
            return super().open(path, part, **settings)
        return of_split(lambda split: cls(str(path), part=split, **settings), part, there, path=path)

    def _array(self, file: Path, *, dimensions: int) -> np.ndarray:
        values, cut = read_idx(file, dimensions=dimensions)
        self.faults += [] if cut is None else [cut]
        return values

    def __len__(self) -> int:
        return min(len(self.pictures), len(self.labels))

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number = int(self.labels[index])
        if self.names is not None and number >= len(self.names):
            detail = f"class {number}, and {len(self.names)} names are given"
            raise SampleError("parts do not match", f"{self.path}:{index}", detail)
        name = str(number) if self.names is None else self.names[number]
        shown = Image.fromarray(self.pictures[index]).convert("RGB")
        return Segment("text", self.template.replace("{}", name)), Segment("image", shown)


def read_idx(file: Path, *, dimensions: int) -> Array:
    """The array of an idx file of bytes, as far as it is there; a .gz may not grow beyond measure.

    Raises:
        ValueError: it is no such file.
    """
    with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as opened:
        try:
            head = opened.read(4 + 4 * dimensions)
            zero, kind, sides, *shape = struct.unpack(f">HBB{dimensions}I", head)
        except (struct.error, OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{file}: not an idx file: {error}") from error
        if (zero, kind, sides) != (0, BYTES, dimensions) or prod(shape) > MOST or not prod(shape[1:]):
            raise ValueError(f"{file}: not an idx file of bytes in {dimensions} dimensions, header {head!r}")
        most = max(SMALL, RATIO * file.stat().st_size)
        content = _as_much(opened, min(prod(shape), most))
    size = prod(shape[1:])
    values = np.frombuffer(content[: len(content) // size * size], np.uint8).reshape(-1, *shape[1:])
    reason: Reason = "archive too large" if len(content) == most else "truncated archive"
    detail = f"{len(values)} of {shape[0]} entries are there"
    return Array(values, Fault(reason, str(file), detail) if len(values) < shape[0] else None)


def _as_much(opened, size: int) -> bytes:
    """Up to `size` bytes: what can be read of a damaged file."""
    pieces, left = [], size
    try:
        while left and (piece := opened.read(min(left, 2**20))):
            pieces.append(piece)
            left -= len(piece)
    except (EOFError, OSError, zlib.error):
        pass
    return b"".join(pieces)


def idx_files(path: Path) -> list[Path]:
    """The files of images in a folder, one of each name, or the file itself.

    Where a folder has none, each may lie in a folder of its own name.
    """
    if path.is_file():
        return [path] if IMAGES.fullmatch(path.name) else []
    entries = [entry for entry in visible(path) if IMAGES.fullmatch(entry.name)]
    inner = [file for folder in entries for file in visible(folder) if IMAGES.fullmatch(file.name)]
    found: dict[str, Path] = {}
    for file in filter(Path.is_file, [*entries, *inner]):  # of one also packed, the plain one comes first
        found.setdefault(_prefix(file), file)
    splits = [*SPLITS, None]
    return sorted(found.values(), key=lambda file: splits.index(split_of(file)))


def _prefix(file: Path) -> str:
    return IMAGES.sub(r"\1", file.name)


def split_of(file: Path) -> Part | None:
    """The split that a file's name says, anywhere in what stands before `images`."""
    return "test" if "t10k" in re.split(r"[^a-z0-9]+", _prefix(file).lower()) else split_said(_prefix(file))


def labels_of(file: Path) -> Path | None:
    """The file of labels that belongs to one of images, beside it or in a folder of its own name."""
    forms = product("-.", "-.", ("", ".gz"))
    names = [f"{_prefix(file)}labels{one}idx1{two}ubyte{packed}" for one, two, packed in forms]
    folders = [file.parent, *(file.parent.parent / name for name in names)]
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)
