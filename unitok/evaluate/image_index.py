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


class ImageLocation(NamedTuple):
    """An image as a file or as bytes of a tar; `parts` are its folders and name."""

    file: Path
    parts: tuple[str, ...]
    offset: int | None = None
    size: int = -1

    def __str__(self) -> str:
        return str(self.file) if self.offset is None else f"{self.file}:{'/'.join(self.parts)}"

    def load(self) -> Image.Image:
        """Load the image."""
        if self.offset is None:
            return load_image(self.file)
        with self.file.open("rb") as archive:
            archive.seek(self.offset)
            return load_image(archive.read(self.size), name=str(self))


class ImageIndex:
    """The images in a folder, its subfolders and its tar files by name; an image is loaded on access.

    A name is a file's name, with or without folders and suffix, or a COCO id: 310196 is also 000000310196.jpg
    and COCO_val2014_000000310196.jpg. Folders in a name must match the file's, as far as both have some; a
    match of the whole path takes precedence.

    Raises:
        FileNotFoundError: the folder has no image.
        ValueError: a tar file cannot be read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._by_name: dict[str, list[ImageLocation]] = {}
        self._by_stem: dict[str, list[ImageLocation]] = {}
        for location in self._locations():
            ends = list(_ends(location.parts))
            _add(self._by_name, ends, location)
            _add(self._by_stem, {*map(_without_suffix, ends), *_coco_id(location.parts[-1])}, location)
        if not self._by_name:
            raise FileNotFoundError(f"{path}: no images, and no tar files with images")

    def _locations(self) -> Iterator[ImageLocation]:
        for file in sorted(self.path.rglob("*")):
            if file.suffix.lower() in WebDataset.IMAGE_SUFFIXES:
                yield ImageLocation(file, _parts(file.relative_to(self.path).as_posix()))
            elif file.suffix == ".tar":
                yield from _members(file)

    def __getitem__(self, name: str) -> Image.Image:
        """The image of a name. Raises ValueError if no image or several images have it."""
        parts = _parts(name)
        for matches in self._matches(parts):
            exact = [match for match in matches if _stem("/".join(match.parts)) == _stem("/".join(parts))]
            if len(matches := exact or matches) > 1:
                first = ", ".join(map(str, matches[:3]))
                raise ValueError(f"{self.path}: {len(matches)} images are called {name}: {first}")
            return matches[0].load()
        raise ValueError(f"{self.path}: no image {name}")

    def _matches(self, parts: tuple[str, ...]) -> Iterator[list[ImageLocation]]:
        """Images that a name may mean, the longest matches first."""
        for end in _ends(parts):
            depth = end.count("/") + 1
            for index, key in ((self._by_name, end), (self._by_stem, end), (self._by_stem, _stem(end))):
                matches = [p for p in index.get(key, ()) if depth in (len(parts), len(p.parts))]
                if matches:
                    yield matches
        for number in _coco_id("".join(parts[-1:])):
            if number in self._by_stem and (len(parts) == 1 or COCO.fullmatch(_stem(parts[-1]))):
                yield self._by_stem[number]


def _members(file: Path) -> Iterator[ImageLocation]:
    """The images in a tar file."""
    try:
        with tarfile.open(file, "r:") as archive:
            for info in archive:
                if info.isreg() and Path(info.name).suffix.lower() in WebDataset.IMAGE_SUFFIXES:
                    yield ImageLocation(file, _parts(info.name), info.offset_data, info.size)
    except tarfile.TarError as error:
        raise ValueError(f"{file}: not a readable tar file ({error})") from error


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name, in Unicode's NFC form."""
    return tuple(part for part in PurePosixPath(normalize("NFC", name)).parts if part != "/")


def _ends(parts: tuple[str, ...]) -> Iterator[str]:
    """The whole path, then the path without its first folder, and so on."""
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _add(index: dict[str, list[ImageLocation]], keys: Iterable[str], location: ImageLocation) -> None:
    for key in keys:
        index.setdefault(key, []).append(location)


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _stem(name: str) -> str:
    """A name without its image suffix, if it has one."""
    return _without_suffix(name) if PurePosixPath(name).suffix.lower() in WebDataset.IMAGE_SUFFIXES else name


def _coco_id(name: str) -> Iterator[str]:
    """The COCO id in a file name or a number, without leading zeros; nothing for other names."""
    match = COCO.fullmatch(_stem(name)) or re.fullmatch(r"(\d+)", _stem(name), re.ASCII)
    if match:
        yield str(int(match[1]))
