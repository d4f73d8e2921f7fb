"""Folders of images: alone, with a text beside each, or sorted by class. Knows no metadata files."""

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from unitok.data.faults import Fault
from unitok.data.files.arrow import STATE
from unitok.data.files.compact_lists import Names
from unitok.data.files.images import IMAGE_SUFFIXES
from unitok.data.files.list_files import folders, visible, walk
from unitok.data.files.open_records import FirstLook
from unitok.data.readers.segments import MAX_TEXT, image_segment, text_segment
from unitok.data.readers.unread_captions import (
    MARKED_UP,
    TEXTS,
    explain_unread,
    holds_boxes,
    is_empty,
    looks_like_captions,
    names_images,
)
from unitok.data.source import Reader
from unitok.document import Document, Segment

CAPTIONS = (".txt", ".caption")
"""Suffixes of an image's caption; of several, the first is read."""
INSPECTED = 8
"""Captions that are inspected for boxes."""
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt")
MAX_TABLES = 20
"""Most tables of a folder; more are something else."""
UNREAD_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".tga", ".dng", ".cr2", ".nef")
NOT_READ = "images of this format are not read: save it as PNG or JPEG"
NO_CLASSES = {
    "images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "thumbnails", "thumbs", "previews",
    "masks", "mask", "labels", "annotations", "captions", "texts", "data",
}  # fmt: skip
"""Names of folders, in lower case, that describe their content and are not classes."""


class PictureFolder(Reader):
    """The images in a folder and those below it, by name, without captions.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: it holds no image.
    """

    format = "pictures"

    def __init__(self, path: str):
        self.root, self.faults = Path(path), []
        files = sorted(_walk_images(self.root, self.faults))
        self.files = Names(str(file.relative_to(path)) for file in files)
        if not self.files:
            raise FileNotFoundError(f"{path}: no images ({', '.join(IMAGE_SUFFIXES)})")

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        return holds_images(look.path)

    @classmethod
    def find_unread(cls, look: FirstLook) -> Iterator[str]:
        yield from _find_unread_captions(look.path, walk(look.path))
        yield from _find_twins(look.path)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        file = self.root / self.files[index]
        return (image_segment(file, path=file),)


class TextPairs(Reader):
    """Images in a folder and those below it, each with its caption beside it.

    The caption of a.jpg is a.txt, a.jpg.txt or a.caption. An image without a caption, and a caption without
    an image, are faults.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: it holds no such pair.
    """

    format = "pairs"

    def __init__(self, path: str):
        self.root, self.faults = Path(path), []
        pairs: list[tuple[str, str]] = []
        for folder, names in folders(self.root, faults=self.faults):
            matched = _Pairs.of(names)
            here = folder.relative_to(self.root)
            pairs += [(str(here / image), str(here / caption)) for image, caption in matched.pairs]
            self.faults += [Fault(why, str(folder / name), detail) for why, name, detail in matched.unmatched]
        pairs.sort(key=lambda pair: Path(pair[0]).with_suffix(""))
        self.files, self.captions = (Names(pair[side] for pair in pairs) for side in (0, 1))
        self.faults.sort(key=lambda fault: fault.path)
        if not self.files:
            raise FileNotFoundError(f"{path}: no image with a .txt of the same name")

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        return any(_Pairs.of(names).pairs for _, names in folders(look.path))

    @classmethod
    def find_unread(cls, look: FirstLook) -> Iterator[str]:
        pairs = ((here, _Pairs.of(names).pairs) for here, names in folders(look.path))
        captions = list(islice((here / caption for here, some in pairs for _, caption in some), INSPECTED))
        if any(map(holds_boxes, captions)) and all(holds_boxes(one) or is_empty(one) for one in captions):
            yield from _find_unread_captions(look.path, filter(holds_boxes, captions))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        file, caption_file = self.root / self.files[index], self.root / self.captions[index]
        with caption_file.open("rb") as opened:
            caption = text_segment(opened.read(MAX_TEXT + 1), path=caption_file)
        return caption, image_segment(file, path=file)


class _Pairs(NamedTuple):
    """The images of one folder with their captions; and (reason, name, detail) of unmatched files."""

    pairs: list[tuple[str, str]]
    unmatched: list[tuple[str, str, str]]

    @classmethod
    def of(cls, names: list[str]) -> "_Pairs":
        result = cls([], [])
        captions = result._captions(names)
        images: dict[str, str] = {}
        for name in names:
            if name.lower().endswith(UNREAD_SUFFIXES):
                result.unmatched.append(("not a picture", name, NOT_READ))
                images.setdefault(_stem(name), name)
            if not name.lower().endswith(IMAGE_SUFFIXES):
                continue
            key = _normalise(name) if _normalise(name) in captions else _stem(name)
            if key in images:
                result.unmatched.append(("file twice", name, f"beside {images[key]}"))
            elif key in captions:
                result.pairs.append((name, captions[key]))
            else:
                result.unmatched.append(("no caption", name, ""))
            images.setdefault(key, name)
        result.unmatched.extend(
            ("no picture", name, "") for key, name in captions.items() if key not in images
        )
        return result

    def _captions(self, names: list[str]) -> dict[str, str]:
        """Captions by the name that they belong to: a.txt to a, a.jpg.txt to a.jpg."""
        captions: dict[str, str] = {}
        for suffix in CAPTIONS:
            for name in names:
                if not name.lower().endswith(suffix):
                    continue
                first = captions.setdefault(_stem(name), name)
                if first != name and first.lower().endswith(suffix):
                    self.unmatched.append(("file twice", name, f"beside {first}"))
        return captions


def _normalise(name: str) -> str:
    """Normalises a name: macOS writes an umlaut as two characters."""
    return normalize("NFC", name)


def _stem(name: str) -> str:
    return _normalise(name.rpartition(".")[0])


class ClassFolders(Reader):
    """Images in one folder per class; the caption is the folder's name in a template.

    Args:
        path: the folder of the class folders.
        template: the caption; {} stands for the class, with spaces in place of underscores.

    Raises:
        FileNotFoundError: no folder in it holds an image.
        ValueError: the template has no {}.
    """

    format = "classes"

    def __init__(self, path: str, template: str = "{}"):
        if "{}" not in template:
            raise ValueError(f"template must have {{}} in place of the class, got {template!r}")
        self.template, self.root, self.faults = template, Path(path), []
        self.files = Names()
        for file in _walk_images(self.root, self.faults):
            if file.parent == self.root:
                self.faults.append(Fault("no caption", str(file), "it is in no class folder"))
            else:
                self.files.append(str(file.relative_to(path)))
        if not self.files:
            raise FileNotFoundError(f"{path}: no folders with images")

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        classes = class_folders(look.path)
        named = all(folder.name.casefold() not in NO_CLASSES for folder in classes)
        return len(classes) > 1 and named and len(_images_directly_in(look.path)) < len(classes)

    @classmethod
    def find_unread(cls, look: FirstLook) -> Iterator[str]:
        tables = (one.path for one in find_tables(look.path) if names_images(one))
        below = (file for folder in class_folders(look.path) for file in walk(folder))
        yield from _find_unread_captions(look.path, (*tables, *below))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        name = Path(self.files[index])
        caption = self.template.replace("{}", _normalise(name.parts[0]).replace("_", " "))
        return Segment("text", caption), image_segment(self.root / name, path=self.root / name)


def _find_unread_captions(root: Path, files: Iterable[Path]) -> Iterator[str]:
    """Describes which of these files look like captions, and why they are not read."""
    for file in files:
        empty = file.name.lower().endswith(TEXTS) and is_empty(file)
        if (looks_like_captions(file.name) and not empty) or _has_image_beside(file):
            reason = explain_unread(FirstLook(file))
            yield f"{file.relative_to(root)} looks like captions and is not read: {reason}"


def _has_image_beside(file: Path) -> bool:
    """Whether a file of markup has the same name as an image beside it."""
    suffixes = (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES))
    return file.name.lower().endswith(MARKED_UP) and any(file.with_suffix(one).is_file() for one in suffixes)


def _find_twins(root: Path) -> Iterator[str]:
    """Describes pairs of folders that hold the same images, such as thumbnails."""
    stems = {
        folder.name: {_stem(file.name) for file in _images_directly_in(folder)}
        for folder in class_folders(root)
    }
    for one, other in combinations(stems, 2):
        if 2 * len(stems[one] & stems[other]) > max(len(stems[one]), len(stems[other])):
            yield f"the folders {one} and {other} hold images of the same names: give one of them as the path"


def find_tables(path: Path) -> list[FirstLook]:
    """Finds the files in a folder that may be its table: few, and without an image of the same name."""
    if (path / STATE).is_file():
        return []
    images = {_stem(file.name) for file in _images_directly_in(path)}
    files = [entry for entry in visible(path) if entry.suffix.lower() in TABLE_SUFFIXES and entry.is_file()]
    tables = [file for file in files if not {_stem(file.name), _normalise(file.name)} & images]
    return [FirstLook(file) for file in tables] if len(tables) <= MAX_TABLES else []


def _walk_images(root: Path, faults: list[Fault]) -> Iterator[Path]:
    """Yields the images in a folder and below, by name; those of unsupported formats are faults."""
    for file in walk(root, *IMAGE_SUFFIXES, *UNREAD_SUFFIXES, faults=faults):
        if file.name.lower().endswith(UNREAD_SUFFIXES):
            faults.append(Fault("not a picture", str(file), NOT_READ))
        else:
            yield file


def class_folders(path: Path) -> list[Path]:
    """The folders in a folder that hold images."""
    return [folder for folder in visible(path) if folder.is_dir() and holds_images(folder)]


def holds_images(folder: Path) -> bool:
    """Whether there is an image in a folder or below."""
    return next(walk(folder, *IMAGE_SUFFIXES), None) is not None


def _images_directly_in(path: Path) -> list[Path]:
    """The images in a folder itself, not in folders below."""
    return [file for file in visible(path) if file.name.lower().endswith(IMAGE_SUFFIXES) and file.is_file()]
