"""MNIST's idx files: small pictures in one array, and their classes in another. Knows no names of classes."""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from unitok.data.faults import Fault, SampleError
from unitok.data.readers.base import Reader, Source, Together
from unitok.data.readers.containers import Look
from unitok.data.readers.splits import SPLITS, Part
from unitok.document import Document, Segment

BYTES = 0x08
MOST = 2**32
"""Bytes of an array that are believed."""


class Array(NamedTuple):
    """The values that are there, and the number of entries that the header promises."""

    values: np.ndarray
    promised: int


class Idx(Reader):
    """Pictures of an idx file (MNIST and its kin, also .gz), with their class as the caption.

    Args:
        path: the file of pictures, such as train-images-idx3-ubyte.gz; or a folder with it and its labels.
        part: of a folder: train or test (which MNIST calls t10k); None takes the only pictures there are.
        names: of the classes, in the order of their numbers; if absent the numbers.
        template: the caption; {} stands for the class.

    Raises:
        FileNotFoundError: there is no such file, or no labels beside it.
        ValueError: it is no idx file.
    """

    format = "idx"
    looks_like = "a file named …-images-idx3-ubyte or .gz (MNIST) with its labels beside it, or their folder"

    def __init__(
        self,
        path: str,
        *,
        part: Part | None = None,
        names: list[str] | None = None,
        template: str = "{}",
    ):
        files = idx_files(Path(path), part)
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or "none"
            raise FileNotFoundError(f"{path}: expected one file …-images-idx3-ubyte, found {found}")
        self.path = files[0]
        self.names, self.template, self.faults = names, template, []
        self.pictures = self._array(self.path, dimensions=3)
        self.labels = self._array(labels_of(self.path), dimensions=1)
        if len(self.pictures) != len(self.labels) and not self.faults:
            detail = f"{len(self.pictures)} pictures, {len(self.labels)} labels"
            self.faults.append(Fault("parts do not match", str(self.path), detail))

    @classmethod
    def fits(cls, look: Look) -> bool:
        return any(labels_of(file).is_file() for file in idx_files(look.path, None))

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        files = {name: idx_files(path, name) for name in SPLITS} if path.is_dir() else {}
        if part is None and sum(map(len, files.values())) > 1:
            return Together([cls(str(file), **settings) for found in files.values() for file in found])
        if part and files.get(part) and not (part == "train" and not files["val"]):
            return cls(str(path), part=part, **settings)
        if files.get("train"):  # MNIST has train and test
            (path,) = files["train"]
        return super().open(path, part, **settings)

    def _array(self, file: Path, *, dimensions: int) -> np.ndarray:
        values, promised = read_idx(file, dimensions=dimensions)
        if len(values) < promised:
            detail = f"{len(values)} of {promised} entries are there"
            self.faults.append(Fault("truncated archive", str(file), detail))
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
    """The array of an idx file of bytes, as far as it is there.

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
        content = _as_much(opened, prod(shape))
    size = prod(shape[1:])
    whole = np.frombuffer(content[: len(content) // size * size], np.uint8)
    return Array(whole.reshape(-1, *shape[1:]), shape[0])


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


def idx_files(path: Path, part: Part | None) -> list[Path]:
    """The files of pictures in a folder, of one part if one is given; or the file itself."""
    if path.is_file():
        return [path] if "images-idx3" in path.name else []
    names = None if part is None else (*SPLITS[part], *(("t10k",) if part == "test" else ()))
    files = sorted(path.glob("*images-idx3-ubyte*"))
    return [file for file in files if names is None or file.name.startswith(names)]


def labels_of(file: Path) -> Path:
    """The file of labels that belongs to one of pictures; with or without .gz."""
    beside = file.with_name(file.name.replace("images-idx3", "labels-idx1"))
    other = beside.with_name(beside.name + ".gz") if beside.suffix != ".gz" else beside.with_suffix("")
    return beside if beside.is_file() or not other.is_file() else other
