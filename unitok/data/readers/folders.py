"""Folders of images: alone, with a text beside each, or sorted by class. Knows no metadata files."""

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from unitok.data.faults import Fault
from unitok.data.files.arrow import STATE
from unitok.data.files.compact_lists import Names
from unitok.data.files.images import PICTURES
from unitok.data.files.list_files import folders, visible, walk
from unitok.data.files.open_records import Look
from unitok.data.readers.segments import MOST_TEXT, picture, text
from unitok.data.readers.unread_captions import (
    MARKED_UP,
    TEXTS,
    holds_boxes,
    is_empty,
    looks_like_captions,
    names_images,
    why_unread,
)
from unitok.data.source import Reader
from unitok.document import Document, Segment

CAPTIONS = (".txt", ".caption")
"""Suffixes of a picture's caption; where both are there, the first is read."""
GLANCE = 8
"""Captions that are looked at to see whether they are boxes."""
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt")
MOST_TABLES = 20
"""Tables that a folder may have; more are something else."""
FOREIGN = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".tga", ".dng", ".cr2", ".nef")
NOT_READ = "images of this kind are not read: save it as PNG or JPEG"
NO_CLASSES = {
    "images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "thumbnails", "thumbs", "previews",
    "masks", "mask", "labels", "annotations", "captions", "texts", "data",
}  # fmt: skip
"""Folders of these names, in lower case, hold what their name says, not a class."""


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
        self.root, self.faults = Path(path), []
        found = sorted(_images(self.root, self.faults))
        self.files = Names(str(file.relative_to(path)) for file in found)
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no pictures ({', '.join(PICTURES)})")

    @classmethod
    def fits(cls, look: Look) -> bool:
        return holds_pictures(look.path)

    @classmethod
    def overlooked(cls, look: Look) -> Iterator[str]:
        yield from _unread(look.path, walk(look.path))
        yield from _twins(look.path)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        file = self.root / self.files[index]
        return (picture(file, path=file),)


class TextPairs(Reader):
    """Pictures in a folder and those below it, each with its caption beside it.

    The caption of a.jpg is a.txt, a.jpg.txt or a.caption. A picture without a caption, and a caption without
    a picture, are faults.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: it holds no such pair.
    """

    format = "pairs"
    looks_like = f"a folder of pictures, each with a text of the same name ({', '.join(CAPTIONS)})"

    def __init__(self, path: str):
        self.root, self.faults = Path(path), []
        pairs: list[tuple[str, str]] = []
        for folder, names in folders(self.root, faults=self.faults):
            beside = _Beside.of(names)
            here = folder.relative_to(self.root)
            pairs += [(str(here / shown), str(here / said)) for shown, said in beside.pairs]
            self.faults += [Fault(why, str(folder / name), detail) for why, name, detail in beside.lost]
        pairs.sort(key=lambda pair: Path(pair[0]).with_suffix(""))
        self.files, self.captions = (Names(pair[side] for pair in pairs) for side in (0, 1))
        self.faults.sort(key=lambda fault: fault.path)
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no picture with a .txt of the same name")

    @classmethod
    def fits(cls, look: Look) -> bool:
        return any(_Beside.of(names).pairs for _, names in folders(look.path))

    @classmethod
    def overlooked(cls, look: Look) -> Iterator[str]:
        pairs = ((here, _Beside.of(names).pairs) for here, names in folders(look.path))
        captions = list(islice((here / said for here, some in pairs for _, said in some), GLANCE))
        if any(map(holds_boxes, captions)) and all(holds_boxes(one) or is_empty(one) for one in captions):
            yield from _unread(look.path, filter(holds_boxes, captions))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        file, beside = self.root / self.files[index], self.root / self.captions[index]
        with beside.open("rb") as opened:
            caption = text(opened.read(MOST_TEXT + 1), path=beside)
        return caption, picture(file, path=file)


class _Beside(NamedTuple):
    """What lies beside what in one folder: pictures with captions; and names that are lost, and why."""

    pairs: list[tuple[str, str]]
    lost: list[tuple[str, str, str]]

    @classmethod
    def of(cls, names: list[str]) -> "_Beside":
        beside = cls([], [])
        said = beside._captions(names)
        told: dict[str, str] = {}
        for name in names:
            if name.lower().endswith(FOREIGN):
                beside.lost.append(("not a picture", name, NOT_READ))
                told.setdefault(_stem(name), name)
            if not name.lower().endswith(PICTURES):
                continue
            key = _form(name) if _form(name) in said else _stem(name)
            if key in told:
                beside.lost.append(("file twice", name, f"beside {told[key]}"))
            elif key in said:
                beside.pairs.append((name, said[key]))
            else:
                beside.lost.append(("no caption", name, ""))
            told.setdefault(key, name)
        beside.lost.extend(("no picture", name, "") for key, name in said.items() if key not in told)
        return beside

    def _captions(self, names: list[str]) -> dict[str, str]:
        """Captions by what they are of: a.txt of a, a.jpg.txt of a.jpg."""
        said: dict[str, str] = {}
        for suffix in CAPTIONS:
            for name in names:
                if not name.lower().endswith(suffix):
                    continue
                first = said.setdefault(_stem(name), name)
                if first != name and first.lower().endswith(suffix):
                    self.lost.append(("file twice", name, f"beside {first}"))
        return said


def _form(name: str) -> str:
    """A name in one form: a Mac writes its umlauts as two letters."""
    return normalize("NFC", name)


def _stem(name: str) -> str:
    return _form(name.rpartition(".")[0])


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
        self.template, self.root, self.faults = template, Path(path), []
        self.files = Names()
        for file in _images(self.root, self.faults):
            if file.parent == self.root:
                self.faults.append(Fault("no caption", str(file), "it lies in no folder of a class"))
            else:
                self.files.append(str(file.relative_to(path)))
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no folders with pictures")

    @classmethod
    def fits(cls, look: Look) -> bool:
        classes = class_folders(look.path)
        named = all(folder.name.casefold() not in NO_CLASSES for folder in classes)
        return len(classes) > 1 and named and len(_on_top(look.path)) < len(classes)

    @classmethod
    def overlooked(cls, look: Look) -> Iterator[str]:
        tables = (one.path for one in lone_tables(look.path) if names_images(one))
        below = (file for folder in class_folders(look.path) for file in walk(folder))
        yield from _unread(look.path, (*tables, *below))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        name = Path(self.files[index])
        said = self.template.replace("{}", _form(name.parts[0]).replace("_", " "))
        return Segment("text", said), picture(self.root / name, path=self.root / name)


def _unread(root: Path, files: Iterable[Path]) -> Iterator[str]:
    """In words, which of these files look like captions, and why they are not read."""
    for file in files:
        empty = file.name.lower().endswith(TEXTS) and is_empty(file)
        if (looks_like_captions(file.name) and not empty) or _annotates(file):
            yield f"{file.relative_to(root)} looks like captions and is not read: {why_unread(Look(file))}"


def _annotates(file: Path) -> bool:
    """Whether a file of markup has the name of an image beside it."""
    suffixes = (*PICTURES, *map(str.upper, PICTURES))
    return file.name.lower().endswith(MARKED_UP) and any(file.with_suffix(one).is_file() for one in suffixes)


def _twins(root: Path) -> Iterator[str]:
    """In words, which two folders hold the same images, such as thumbnails."""
    held = {folder.name: {_stem(file.name) for file in _on_top(folder)} for folder in class_folders(root)}
    for one, other in combinations(held, 2):
        if 2 * len(held[one] & held[other]) > max(len(held[one]), len(held[other])):
            yield f"the folders {one} and {other} hold images of the same names: give one of them as the path"


def lone_tables(path: Path) -> list[Look]:
    """The files in a folder that may be its table: those beside no image of their name, if they are few."""
    if (path / STATE).is_file():
        return []
    shown = {_stem(file.name) for file in _on_top(path)}
    files = [entry for entry in visible(path) if entry.suffix.lower() in TABLE_SUFFIXES and entry.is_file()]
    alone = [file for file in files if not {_stem(file.name), _form(file.name)} & shown]
    return [Look(file) for file in alone] if len(alone) <= MOST_TABLES else []


def _images(root: Path, faults: list[Fault]) -> Iterator[Path]:
    """The images in a folder and below, by name; those of a kind that is not read are faults."""
    for file in walk(root, *PICTURES, *FOREIGN, faults=faults):
        if file.name.lower().endswith(FOREIGN):
            faults.append(Fault("not a picture", str(file), NOT_READ))
        else:
            yield file


def class_folders(path: Path) -> list[Path]:
    """The folders in a folder that hold pictures."""
    return [folder for folder in visible(path) if folder.is_dir() and holds_pictures(folder)]


def holds_pictures(folder: Path) -> bool:
    """Whether there is a picture in a folder or below."""
    return next(walk(folder, *PICTURES), None) is not None


def _on_top(path: Path) -> list[Path]:
    """Pictures in a folder itself, beside those of its folders."""
    return [file for file in visible(path) if file.name.lower().endswith(PICTURES) and file.is_file()]
