"""Finds the records in a JSON document, in all shapes in common use. Opens no file."""

from collections.abc import Callable
from typing import Any

from unitok.data.files.csv_headers import IMAGE_NAME_END

Record = dict[str, Any]
SPLIT_ALIASES = {"restval": "train"}
"""Karpathy's splits by ours: restval holds images of COCO's validation that he adds to train."""


def records_of(content: Any) -> list[Any] | None:
    """Returns the records in a JSON file's content; None if its shape is unknown."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict) or not content:
        return None
    return next((records for shape in SHAPES if (records := shape(content)) is not None), None)


def _karpathy_captions(content: Record) -> list[Record] | None:
    """Karpathy's lists of captions, such as dataset_coco.json: one record per sentence."""
    images = content.get("images")
    if not (isinstance(images, list) and images and isinstance(images[0], dict) and "sentences" in images[0]):
        return None
    return [record for image in images for record in _captions_of_image(image)]


def _captions_of_image(image: Any) -> list[Any]:
    if not isinstance(image, dict) or not isinstance(image.get("sentences"), list):
        return [image]
    name = "/".join(str(image[key]) for key in ("filepath", "filename") if image.get(key))
    split = image.get("split")
    shared = {"image": name, "split": SPLIT_ALIASES.get(split, split)}
    sentences = [one.get("raw") if isinstance(one, dict) else one for one in image["sentences"]]
    return [shared | {"caption": sentence} for sentence in sentences]


def _captions_by_name(content: Record) -> list[Record] | None:
    """{"a.png": "a red one"}, or a list of captions."""
    if not all(IMAGE_NAME_END.search(name) for name in content):
        return None
    return [{"image": name, "caption": caption} for name, caption in content.items()]


def _columns(content: Record) -> list[Record] | None:
    """{"image": {"0": "a.png"}, "caption": {"0": "a red one"}}, the tables of pandas."""
    first = next(iter(content.values()))
    same = all(isinstance(cells, dict) and cells.keys() == first.keys() for cells in content.values())
    if not same or not first or len(content) < 2:
        return None
    return [{name: cells[row] for name, cells in content.items()} for row in first]


def _only_list(content: Record) -> list[Any] | None:
    """{"data": [{…}, {…}]}: the only list of objects in it."""
    lists = [value for value in content.values() if isinstance(value, list) and _objects(value)]
    return lists[0] if len(lists) == 1 else None


def _one_record(content: Record) -> list[Record] | None:
    """JSON lines with a single line."""
    return None if any(isinstance(value, dict) for value in content.values()) else [content]


def _objects(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], dict)


SHAPES: tuple[Callable[[Record], list[Any] | None], ...] = (
    _karpathy_captions, _captions_by_name, _columns, _only_list, _one_record,
)  # fmt: skip
"""In the order in which they are tried."""
