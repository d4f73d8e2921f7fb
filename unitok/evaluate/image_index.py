"""Finds the images that a benchmark names, in a folder or in tar shards. Knows no questions."""

import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from PIL import Image

from unitok.data.files.images import load_image
from unitok.data.readers.webdataset import WebDataset

COCO = re.compile(r"(?:COCO_\w+_)?(\d{12})")


class Place(NamedTuple):
    """Where a picture is: a file, or bytes of a tar; `parts` are its folders and its name."""

    file: Path
    parts: tuple[str, ...]
    offset: int | None = None
    size: int = -1

    def __str__(self) -> str:
        return str(self.file) if self.offset is None else f"{self.file}:{'/'.join(self.parts)}"

    def load(self) -> Image.Image:
        """The picture."""
        if self.offset is None:
            return load_image(self.file)
        with self.file.open("rb") as opened:
            opened.seek(self.offset)
            return load_image(opened.read(self.size), name=str(self))


class NamedPictures:
    """The pictures of a folder, those below it, and those in its tar files, read when they are asked for.

    A name is a file's own name, with or without folders and suffix, or COCO's number: 310196 is also
    000000310196.jpg and COCO_val2014_000000310196.jpg. Folders that a name has must be the file's, as far as
    both have some; a whole name goes before a part of one.

    Raises:
        FileNotFoundError: the folder has no picture.
        ValueError: a tar file cannot be read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._named: dict[str, list[Place]] = {}
        self._called: dict[str, list[Place]] = {}
        for place in self._places():
            ends = list(_ends(place.parts))
            _list(self._named, ends, place)
            _list(self._called, {*map(_without_suffix, ends), *_number(place.parts[-1])}, place)
        if not self._named:
            raise FileNotFoundError(f"the folder {path} has no pictures, nor tar files with any")

    def _places(self) -> Iterator[Place]:
        for file in sorted(self.path.rglob("*")):
            if file.suffix.lower() in WebDataset.IMAGE_SUFFIXES:
                yield Place(file, _parts(file.relative_to(self.path).as_posix()))
            elif file.suffix == ".tar":
                yield from _members(file)

    def __getitem__(self, name: str) -> Image.Image:
        """The picture of a name. Raises ValueError naming one that is not there, or that several have."""
        parts = _parts(name)
        for found in self._found(parts):
            whole = [place for place in found if _stem("/".join(place.parts)) == _stem("/".join(parts))]
            if len(found := whole or found) > 1:
                several = ", ".join(map(str, found[:3]))
                raise ValueError(f"{self.path} has {len(found)} pictures called {name}: {several}")
            return found[0].load()
        raise ValueError(f"{self.path} has no picture {name}")

    def _found(self, parts: tuple[str, ...]) -> Iterator[list[Place]]:
        """Pictures that a name may mean, those first that share most of it."""
        for end in _ends(parts):
            depth = end.count("/") + 1
            for names, key in ((self._named, end), (self._called, end), (self._called, _stem(end))):
                fit = [p for p in names.get(key, ()) if depth in (len(parts), len(p.parts))]
                if fit:
                    yield fit
        for number in _number("".join(parts[-1:])):
            if number in self._called and (len(parts) == 1 or COCO.fullmatch(_stem(parts[-1]))):
                yield self._called[number]


def _members(file: Path) -> Iterator[Place]:
    """The pictures of a tar file."""
    try:
        with tarfile.open(file, "r:") as archive:
            for info in archive:
                if info.isreg() and Path(info.name).suffix.lower() in WebDataset.IMAGE_SUFFIXES:
                    yield Place(file, _parts(info.name), info.offset_data, info.size)
    except tarfile.TarError as error:
        raise ValueError(f"{file}: not a readable tar file ({error})") from error


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name, in one of Unicode's forms."""
    return tuple(part for part in PurePosixPath(normalize("NFC", name)).parts if part != "/")


def _ends(parts: tuple[str, ...]) -> Iterator[str]:
    """The whole name, then it without its first folder, and so on."""
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _list(names: dict[str, list[Place]], keys: Iterable[str], place: Place) -> None:
    for key in keys:
        names.setdefault(key, []).append(place)


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _stem(name: str) -> str:
    """A name without the suffix of a picture, if it has one."""
    return _without_suffix(name) if PurePosixPath(name).suffix.lower() in WebDataset.IMAGE_SUFFIXES else name


def _number(name: str) -> Iterator[str]:
    """COCO's number of a file, or of a number; nothing of another name."""
    match = COCO.fullmatch(_stem(name)) or re.fullmatch(r"(\d+)", _stem(name), re.ASCII)
    if match:
        yield str(int(match[1]))
