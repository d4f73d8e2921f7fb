"""Folders of pictures: alone, with a .txt beside each, or sorted by class. Knows no metadata files."""

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from unitok.data.faults import Fault
from unitok.data.readers.base import Reader
from unitok.data.readers.compact import Names
from unitok.data.readers.containers import Look
from unitok.data.readers.contents import MOST_TEXT, PICTURES, picture, text
from unitok.document import Document, Segment

GLANCE = 200
"""Files that are looked at to recognise a folder."""


def walk(path: Path, *suffixes: str) -> Iterator[Path]:
    """Files with these suffixes in a folder and those below, by name; hidden ones are passed over.

    Links to folders are not followed.
    """
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(suffixes):
                yield Path(folder, name)


class PictureFolder(Reader):
    """The pictures in a folder and those below it, by name, without captions.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: it holds no picture.
    """

    format = "pictures"
    looks_like = "a folder with pictures in it or below"

    def __init__(self, path: str):
        self.root = Path(path)
        self.files = Names(str(file.relative_to(path)) for file in sorted(walk(self.root, *PICTURES)))
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no pictures ({', '.join(PICTURES)})")

    @classmethod
    def fits(cls, look: Look) -> bool:
        return _holds(look.path)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        file = self.root / self.files[index]
        return (picture(file, path=file),)


class TextPairs(Reader):
    """Pictures in a folder and those below it, each with its caption in a .txt of the same name.

    A picture without a caption, and a caption without a picture, are faults.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: it holds no such pair.
    """

    format = "pairs"
    looks_like = "a folder of pictures, each with a .txt of the same name"

    def __init__(self, path: str):
        self.root, faults = Path(path), []
        pictures = _by_stem(self.root, walk(self.root, *PICTURES), faults)
        captions = _by_stem(self.root, walk(self.root, ".txt"), faults)
        stems = sorted(pictures.keys() & captions, key=Path)
        self.files = Names(stem + pictures[stem] for stem in stems)
        self.captions = Names(stem + captions[stem] for stem in stems)
        for reason, here, there in (("no caption", pictures, captions), ("no picture", captions, pictures)):
            alone = here.keys() - there
            faults += [Fault(reason, str(self.root / (stem + here[stem]))) for stem in alone]
        self.faults = sorted(faults, key=lambda fault: fault.path)
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no picture with a .txt of the same name")

    @classmethod
    def fits(cls, look: Look) -> bool:
        files = islice(walk(look.path, *PICTURES), GLANCE)
        return any(file.with_suffix(".txt").is_file() for file in files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        file, beside = self.root / self.files[index], self.root / self.captions[index]
        with beside.open("rb") as opened:
            caption = text(opened.read(MOST_TEXT + 1), path=beside)
        return caption, picture(file, path=file)


def _by_stem(root: Path, files: Iterator[Path], faults: list[Fault]) -> dict[str, str]:
    """Suffixes by the rest of the name, relative to `root`; the second file of a name is a fault."""
    found: dict[str, str] = {}
    for file in files:
        stem = str(file.relative_to(root).with_suffix(""))
        if stem in found:
            faults.append(Fault("file twice", str(file), f"beside {file.stem}{found[stem]}"))
        else:
            found[stem] = sys.intern(file.suffix)
    return found


class ClassFolders(Reader):
    """Pictures in one folder a class; the caption is the folder's name in a template.

    Args:
        path: the folder of the class folders.
        template: the caption; {} stands for the class, with spaces in place of underscores.

    Raises:
        FileNotFoundError: no folder in it holds a picture.
        ValueError: the template has no {}.
    """

    format = "classes"
    looks_like = "a folder of folders, one a class, with pictures"

    def __init__(self, path: str, template: str = "{}"):
        if "{}" not in template:
            raise ValueError(f"the template {template!r} has no {{}} where the class goes")
        folders = sorted(folder for folder in Path(path).glob("*") if _is_class(folder))
        self.template, self.root = template, Path(path)
        self.files = Names(
            str(file.relative_to(path)) for folder in folders for file in walk(folder, *PICTURES)
        )
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no folders with pictures")

    @classmethod
    def fits(cls, look: Look) -> bool:
        if not look.path.is_dir() or any(file.suffix.lower() in PICTURES for file in look.path.iterdir()):
            return False
        folders = [folder for folder in look.path.iterdir() if _is_class(folder)]
        return len(folders) > 1 and all(map(_holds, folders))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        name = Path(self.files[index])
        said = self.template.replace("{}", name.parts[0].replace("_", " "))
        return Segment("text", said), picture(self.root / name, path=self.root / name)


def _is_class(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _holds(folder: Path) -> bool:
    return next(walk(folder, *PICTURES), None) is not None
