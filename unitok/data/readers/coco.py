"""COCO captions: one JSON file of images and captions. Knows no boxes."""

import re
from array import array
from itertools import islice
from pathlib import Path
from typing import Any

from unitok.data.faults import Fault, SampleError
from unitok.data.files.compact_lists import Values
from unitok.data.files.list_files import plain_files, visible
from unitok.data.files.open_records import FirstLook
from unitok.data.files.records import read_json
from unitok.data.files.splits import Split, group_by_split, resolve_split
from unitok.data.readers.segments import image_segment, resolve_inside, text_segment
from unitok.data.source import Concat, Reader, Source, split_by_group, warn_once
from unitok.document import Document

INSPECTED = 100
"""Images that are looked up to find their folder."""


class CocoCaptions(Reader):
    """A caption and its image for each annotation of a COCO captions JSON.

    Args:
        path: such a file, as captions_train2017.json.
        images: folder of the images; if absent, the one with most of the first hundred images: the file's
            folder, its parent, or in these images, train2017 or images/train2017 (val2017, …, by the file's
            name).

    Raises:
        ValueError: the file is not of this format.
    """

    format = "coco"

    def __init__(self, path: str, *, images: str | None = None):
        content = read_json(Path(path))
        if not _is_coco(content):
            raise ValueError(f"{path}: not COCO captions: expected lists named images and annotations")
        self.path = Path(path)
        self.faults: list[Fault] = []
        names = self._file_names(content["images"])
        self.files = Values(names.values())
        self.annotations, self._file_numbers = Values(), array("q")  # -1: no such image
        numbers = {image: number for number, image in enumerate(names)}
        for number, annotation in enumerate(content["annotations"]):
            if isinstance(annotation, dict):
                self._add(annotation, numbers)
            else:
                place = f"{path}:annotations[{number}]"
                self.faults.append(Fault("not a JSON object", place, f"got {annotation!r:.80}"))
        self.images = self._images_folder([Path(images)] if images else self._folders())

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        if look.path.is_dir():
            return bool(_caption_files(look.path))
        if not _is_coco(look.json):
            return False
        first = next(iter(look.json["annotations"]), None)
        return isinstance(first, dict) and "caption" in first

    @classmethod
    def open(cls, path: Path, split: Split | None, /, **settings) -> Source:
        if not path.is_dir():
            return cls(str(path), **settings)._share(split)
        files = _caption_files(path)
        by_split = group_by_split(files)
        if by_split and split is not None:
            found = resolve_split(split, by_split, path=path)
            files, split = by_split[found.split], found.share
        return Concat([cls(str(file), **settings)._share(split) for file in files])

    def _share(self, split: Split | None) -> Source:
        """The captions of every 20th image for validation, or of all others; None takes all."""
        return self if split is None else split_by_group(self, split, self._file_numbers)

    def _file_names(self, images: list[Any]) -> dict[str, Any]:
        """File names by image id; an id of two different files is a fault."""
        names: dict[str, Any] = {}
        for number, record in enumerate(images):
            image = _id(record.get("id")) if isinstance(record, dict) else None
            if image is None:
                continue
            first = names.setdefault(image, record.get("file_name"))
            if first != record.get("file_name"):
                detail = f"the id {image} already belongs to {first!r:.80}, which is used"
                self.faults.append(Fault("file twice", f"{self.path}:images[{number}]", detail))
        return names

    def _folders(self) -> list[Path]:
        """The usual folders of images, the nearest first."""
        here, words = self.path.parent, self.path.stem.split("_")[1:]
        names = ["", *words, "images", *(f"images/{word}" for word in words)]
        return [parent / name for parent in (here, here.parent) for name in names]

    def _images_folder(self, folders: list[Path]) -> Path:
        """Returns the folder with most of the first images; warns if there is none in any folder."""
        first = [*islice(self.files, INSPECTED)]
        counts = {folder: sum(self._is_in(folder, name) for name in first) for folder in folders}
        best = max(counts, key=counts.__getitem__)
        if counts[best] or not len(self.files):
            return best
        if (folder := self._folder_of_any_image(folders)) is not None:
            return folder
        searched = ", ".join(dict.fromkeys(map(str, folders)))
        warn_once(f"{self.path}: none of {len(self.files):,} images is in {searched}: give --set images=DIR")
        return best

    def _folder_of_any_image(self, folders: list[Path]) -> Path | None:
        """Returns the first folder that holds any image, by its entries: looking up all names is slow."""
        by_entry = {re.split(r"[/\\]", name)[0]: name for name in self.files if isinstance(name, str)}
        entries = ((folder, entry.name) for folder in folders for entry in visible(folder))
        return next((f for f, name in entries if name in by_entry and self._is_in(f, by_entry[name])), None)

    def _is_in(self, folder: Path, name: Any) -> bool:
        try:
            return resolve_inside(folder, name, path=self.path).is_file()
        except SampleError:
            return False

    def _add(self, annotation: dict[str, Any], numbers: dict[str, int]) -> None:
        image = annotation.get("image_id")
        number = numbers.get(_id(image), -1)
        self._file_numbers.append(number)
        self.annotations.append(
            (annotation.get("id"), annotation.get("caption"), image if number < 0 else None)
        )

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index: int) -> Document:
        name, caption, image = self.annotations[index]
        path = f"{self.path}:annotation {index if name is None else name}"
        segment = text_segment(caption, path=path)
        number = self._file_numbers[index]
        if number < 0:
            raise SampleError("no picture", path, f"no image has the id {image!r:.80}")
        file = resolve_inside(self.images, self.files[number], path=path)
        return segment, image_segment(file, path=file)


def _caption_files(path: Path) -> list[Path]:
    """The caption files in COCO's own folder."""
    files = plain_files(path / "annotations", ".json")
    return [file for file in files if file.stem.split("_")[0] == "captions"]


def _id(value: Any) -> str | None:
    """An id as text: some files have numbers in one list, and strings or floats in the other."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | str) else None


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(content.get(name), list) for name in ("images", "annotations")
    )
