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
from unitok.data.files.gzip_shards import ALWAYS_ALLOWED, MAX_RATIO
from unitok.data.files.list_files import visible
from unitok.data.files.open_records import FirstLook
from unitok.data.files.splits import SPLITS, Split, split_in_name
from unitok.data.source import Concat, Reader, Source, open_split
from unitok.document import Document, Segment

IMAGES = re.compile(r"(.*)images[-.]idx3[-.]ubyte(?:\.gz)?")
UBYTE = 0x08
MAX_BYTES = 2**32
"""Most bytes of an array that a header may claim."""


class Array(NamedTuple):
    """The values of a file, and a fault if there are fewer than its header claims."""

    values: np.ndarray
    fault: Fault | None


class Idx(Reader):
    """Images of an idx file (MNIST and similar sets, also .gz), with their class as the caption.

    Args:
        path: the file of images, such as train-images-idx3-ubyte.gz; or a folder with it and its labels.
        part: the split to read of a folder: train or test (which MNIST calls t10k); None takes the only
            images there are.
        names: names of the classes, in the order of their numbers; if absent the numbers are used.
        template: the caption; {} stands for the class.

    Raises:
        FileNotFoundError: there is no such file, or no labels beside it.
        ValueError: the file is not in idx format.
    """

    format = "idx"

    def __init__(
        self,
        path: str,
        *,
        part: Split | None = None,
        names: list[str] | None = None,
        template: str = "{}",
    ):
        files = [file for file in idx_files(Path(path)) if part in (None, split_of(file))]
        labels = find_labels(files[0]) if len(files) == 1 else None
        if labels is None:
            names_found = ", ".join(file.name for file in files) or "none"
            expected = "one file …-images-idx3-ubyte with its …-labels-idx1-ubyte"
            raise FileNotFoundError(f"{path}: must hold {expected}, got {names_found}; give the path of one")
        self.path = files[0]
        self.names, self.template, self.faults = names, template, []
        self.images, self.labels = self._read(self.path, dimensions=3), self._read(labels, dimensions=1)
        if len(self.images) != len(self.labels) and not self.faults:
            detail = f"{len(self.images)} images, {len(self.labels)} labels"
            self.faults.append(Fault("parts do not match", str(self.path), detail))

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        return any(map(find_labels, idx_files(look.path)))

    @classmethod
    def open(cls, path: Path, split: Split | None, /, **settings) -> Source:
        files = idx_files(path) if path.is_dir() else []
        if split is None and len(files) > 1:
            return Concat([cls(str(file), **settings) for file in files])
        existing = [name for name in SPLITS if name in map(split_of, files)]
        if split is None or not existing:
            return super().open(path, split, **settings)
        return open_split(lambda name: cls(str(path), part=name, **settings), split, existing, path=path)

    def _read(self, file: Path, *, dimensions: int) -> np.ndarray:
        values, fault = read_idx(file, dimensions=dimensions)
        self.faults += [] if fault is None else [fault]
        return values

    def __len__(self) -> int:
        return min(len(self.images), len(self.labels))

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number = int(self.labels[index])
        if self.names is not None and number >= len(self.names):
            detail = f"class {number} of {len(self.names)} named classes"
            raise SampleError("parts do not match", f"{self.path}:{index}", detail)
        name = str(number) if self.names is None else self.names[number]
        image = Image.fromarray(self.images[index]).convert("RGB")
        return Segment("text", self.template.replace("{}", name)), Segment("image", image)


def read_idx(file: Path, *, dimensions: int) -> Array:
    """Reads the array of an idx file of bytes, as far as it is intact; an unpacked .gz is bounded in size.

    Raises:
        ValueError: the file is not in this format.
    """
    with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as opened:
        try:
            head = opened.read(4 + 4 * dimensions)
            zero, kind, sides, *shape = struct.unpack(f">HBB{dimensions}I", head)
        except (struct.error, OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{file}: not an idx file: {error}") from error
        if (zero, kind, sides) != (0, UBYTE, dimensions) or prod(shape) > MAX_BYTES or not prod(shape[1:]):
            raise ValueError(
                f"{file}: not an idx file of bytes in {dimensions} dimensions, got header {head!r}"
            )
        limit = max(ALWAYS_ALLOWED, MAX_RATIO * file.stat().st_size)
        content = _read_up_to(opened, min(prod(shape), limit))
    size = prod(shape[1:])
    values = np.frombuffer(content[: len(content) // size * size], np.uint8).reshape(-1, *shape[1:])
    reason: Reason = "archive too large" if len(content) == limit else "truncated archive"
    detail = f"only {len(values)} of {shape[0]} entries"
    return Array(values, Fault(reason, str(file), detail) if len(values) < shape[0] else None)


def _read_up_to(opened, size: int) -> bytes:
    """Reads up to `size` bytes; of a corrupt file as many as can be read."""
    pieces, left = [], size
    try:
        while left and (piece := opened.read(min(left, 2**20))):
            pieces.append(piece)
            left -= len(piece)
    except (EOFError, OSError, zlib.error):
        pass
    return b"".join(pieces)


def idx_files(path: Path) -> list[Path]:
    """Finds the image files of a folder, one of each name, or the file itself.

    If a folder has none, each may be in a folder of its own name.
    """
    if path.is_file():
        return [path] if IMAGES.fullmatch(path.name) else []
    entries = [entry for entry in visible(path) if IMAGES.fullmatch(entry.name)]
    inner = [file for folder in entries for file in visible(folder) if IMAGES.fullmatch(file.name)]
    files: dict[str, Path] = {}
    for file in filter(Path.is_file, [*entries, *inner]):  # an unpacked file precedes its .gz
        files.setdefault(_prefix(file), file)
    splits = [*SPLITS, None]
    return sorted(files.values(), key=lambda file: splits.index(split_of(file)))


def _prefix(file: Path) -> str:
    return IMAGES.sub(r"\1", file.name)


def split_of(file: Path) -> Split | None:
    """Returns the split in a file's name, anywhere before `images`."""
    return (
        "test" if "t10k" in re.split(r"[^a-z0-9]+", _prefix(file).lower()) else split_in_name(_prefix(file))
    )


def find_labels(file: Path) -> Path | None:
    """Finds the label file of an image file, beside it or in a folder of its own name."""
    forms = product("-.", "-.", ("", ".gz"))
    names = [f"{_prefix(file)}labels{one}idx1{two}ubyte{packed}" for one, two, packed in forms]
    folders = [file.parent, *(file.parent.parent / name for name in names)]
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)
