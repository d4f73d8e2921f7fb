"""COCO's captions: one JSON of pictures and of the captions said of them. Knows no boxes."""

from array import array
from pathlib import Path
from typing import Any

from unitok.data.faults import Fault, SampleError
from unitok.data.readers.base import Reader, Source, Together
from unitok.data.readers.compact import Values
from unitok.data.readers.containers import Look
from unitok.data.readers.contents import inside, picture, text
from unitok.data.readers.records import read_json
from unitok.data.readers.splits import Part
from unitok.document import Document


class CocoCaptions(Reader):
    """A caption and its picture for each annotation of a COCO captions JSON.

    Args:
        path: such a file, as captions_train2017.json.
        images: folder of the pictures; if absent the file's own, or the folder train2017 (val2017, …, as the
            file's name ends) or images in it or beside it.

    Raises:
        ValueError: it is no such file.
    """

    format = "coco"
    looks_like = "a .json with the lists images and annotations, whose annotations have captions"

    def __init__(self, path: str, *, images: str | None = None):
        content = read_json(Path(path))
        if not _is_coco(content):
            raise ValueError(f"{path}: not COCO captions: expected lists named images and annotations")
        self.path, self.faults = Path(path), []
        named = {
            record["id"]: record.get("file_name")
            for record in content["images"]
            if isinstance(record, dict) and isinstance(record.get("id"), int | str)
        }
        self.files = Values(named.values())
        self.annotations, self._shown = Values(), array("q")  # -1 shows no picture
        places = {name: place for place, name in enumerate(named)}
        for number, annotation in enumerate(content["annotations"]):
            if isinstance(annotation, dict):
                self._add(annotation, places)
            else:
                place = f"{path}:annotations[{number}]"
                self.faults.append(Fault("not a JSON object", place, f"got {annotation!r:.80}"))
        self.images = Path(images) if images else self._images_folder()

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
        return Together([cls(str(file), **settings) for file in files])

    def _images_folder(self) -> Path:
        """The nearest folder that has the first picture."""
        here, first = self.path.parent, next(iter(self.files), None)
        ending = self.path.stem.rpartition("_")[2]
        folders = [parent / name for parent in (here, here.parent) for name in ("", ending, "images")]
        if isinstance(first, str):
            for folder in folders:
                if (folder / first).is_file():
                    return folder
        return here

    def _add(self, annotation: dict[str, Any], places: dict[int | str, int]) -> None:
        image = annotation.get("image_id")
        place = places.get(image, -1) if isinstance(image, int | str) else -1
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
    return sorted(path.glob(f"annotations/captions_{part or ''}*.json"))


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(content.get(name), list) for name in ("images", "annotations")
    )
