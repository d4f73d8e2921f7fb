"""COCO captions: one JSON file of images and captions. Knows no boxes."""

import re
from array import array
from itertools import islice
from pathlib import Path
from typing import Any

from unitok.data.faults import Fault, SampleError
from unitok.data.files.compact_lists import Values
from unitok.data.files.list_files import plain_files, visible
from unitok.data.files.open_records import Look
from unitok.data.files.records import read_json
from unitok.data.files.splits import Part
from unitok.data.readers.segments import inside, picture, text
from unitok.data.source import Concat, Reader, Source, tell_once
from unitok.document import Document

GLANCE = 100
"""Images by which their folder is found."""


class CocoCaptions(Reader):
    """A caption and its picture for each annotation of a COCO captions JSON.

    Args:
        path: such a file, as captions_train2017.json.
        images: folder of the images; if absent that which has the most of the first hundred: the file's own,
            the one above, or in these images, train2017 or images/train2017 (val2017, …, by the file's name).

    Raises:
        ValueError: it is no such file.
    """

    format = "coco"
    looks_like = "a .json with the lists images and annotations, whose annotations have captions"

    def __init__(self, path: str, *, images: str | None = None):
        content = read_json(Path(path))
        if not _is_coco(content):
            raise ValueError(f"{path}: not COCO captions: expected lists named images and annotations")
        self.path = Path(path)
        self.faults: list[Fault] = []
        named = self._named(content["images"])
        self.files = Values(named.values())
        self.annotations, self._shown = Values(), array("q")  # -1 shows no picture
        places = {name: place for place, name in enumerate(named)}
        for number, annotation in enumerate(content["annotations"]):
            if isinstance(annotation, dict):
                self._add(annotation, places)
            else:
                place = f"{path}:annotations[{number}]"
                self.faults.append(Fault("not a JSON object", place, f"got {annotation!r:.80}"))
        self.images = self._images_folder([Path(images)] if images else self._folders())

    @classmethod
    def fits(cls, look: Look) -> bool:
        if look.path.is_dir():
            return bool(_files(look.path, None))
        if not _is_coco(look.json):
            return False
        first = next(iter(look.json["annotations"]), None)
        return isinstance(first, dict) and "caption" in first

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        if not path.is_dir():
            return super().open(path, part, **settings)
        files = _files(path, part)
        if not files:
            raise FileNotFoundError(f"{path}: no annotations/captions_{part}*.json")
        return Concat([cls(str(file), **settings) for file in files])

    def _named(self, images: list[Any]) -> dict[str, Any]:
        """The files' names by the images' ids; an id that comes twice for two files is a fault."""
        named: dict[str, Any] = {}
        for number, record in enumerate(images):
            image = _id(record.get("id")) if isinstance(record, dict) else None
            if image is None:
                continue
            first = named.setdefault(image, record.get("file_name"))
            if first != record.get("file_name"):
                detail = f"the id {image} is that of {first!r:.80} too, which is kept"
                self.faults.append(Fault("file twice", f"{self.path}:images[{number}]", detail))
        return named

    def _folders(self) -> list[Path]:
        """Where images usually lie, the nearest first."""
        here, words = self.path.parent, self.path.stem.split("_")[1:]
        names = ["", *words, "images", *(f"images/{word}" for word in words)]
        return [parent / name for parent in (here, here.parent) for name in names]

    def _images_folder(self, folders: list[Path]) -> Path:
        """The folder that has the most of the first images; says so where none has any."""
        first = [*islice(self.files, GLANCE)]
        having = {folder: sum(self._lies_in(folder, name) for name in first) for folder in folders}
        best = max(having, key=having.__getitem__)
        if having[best] or not len(self.files):
            return best
        if (late := self._late(folders)) is not None:
            return late
        sought = ", ".join(dict.fromkeys(map(str, folders)))
        tell_once(f"{self.path}: none of {len(self.files):,} images is in {sought}: give --set images=DIR")
        return best

    def _late(self, folders: list[Path]) -> Path | None:
        """The first folder with an entry that begins a name; to ask each for every name would take long."""
        begun = {re.split(r"[/\\]", name)[0]: name for name in self.files if isinstance(name, str)}
        entries = ((folder, entry.name) for folder in folders for entry in visible(folder))
        return next((f for f, name in entries if name in begun and self._lies_in(f, begun[name])), None)

    def _lies_in(self, folder: Path, name: Any) -> bool:
        try:
            return inside(folder, name, path=self.path).is_file()
        except SampleError:
            return False

    def _add(self, annotation: dict[str, Any], places: dict[str, int]) -> None:
        image = annotation.get("image_id")
        place = places.get(_id(image), -1)
        self._shown.append(place)
        self.annotations.append(
            (annotation.get("id"), annotation.get("caption"), image if place < 0 else None)
        )

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index: int) -> Document:
        name, caption, image = self.annotations[index]
        path = f"{self.path}:annotation {index if name is None else name}"
        said = text(caption, path=path)
        if self._shown[index] < 0:
            raise SampleError("no picture", path, f"no image has the id {image!r:.80}")
        file = inside(self.images, self.files[self._shown[index]], path=path)
        return said, picture(file, path=file)


def _files(path: Path, part: Part | None) -> list[Path]:
    """The files of captions in COCO's own folder."""
    begin = f"captions_{part or ''}"
    return [file for file in plain_files(path / "annotations", ".json") if file.name.startswith(begin)]


def _id(value: Any) -> str | None:
    """An id as text: some files have numbers in one list, and texts or fractions in the other."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | str) else None


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(content.get(name), list) for name in ("images", "annotations")
    )
