"""Parses the files of public benchmarks: questions, captions, boxes. Knows no model.

Images are named as in the files: by file name or COCO id. Boxes are (left, top, right, bottom) in pixels of
the image that the file was made for.
"""

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Record = TypeVar("Record")


class Question(NamedTuple):
    """A question about an image, and one or more human answers; `kind` is VQA's answer type, such as
    "yes/no"."""

    image: str
    text: str
    answers: tuple[str, ...]
    number: int | str = 0
    kind: str = ""


class Expression(NamedTuple):
    """A referring expression for an image of width × height pixels; no box if it refers to nothing there."""

    image: str
    text: str
    box: tuple[float, float, float, float] | None
    width: int
    height: int


def read_pope(path: str | Path) -> list[Question]:
    """Reads POPE's questions: JSON lines of image, text, label ("yes" or "no", in any case)."""
    return _read_records(path, _yes_no_question)


def _yes_no_question(row: dict[str, Any]) -> Question:
    label = str(row["label"]).strip().casefold()
    if label not in ("yes", "no"):
        raise ValueError(f"label must be yes or no, got {row['label']!r}")
    return Question(str(row["image"]), row["text"], (label,), row["question_id"])


def read_vqa(questions: str | Path, annotations: str | Path) -> list[Question]:
    """Reads VQA v2: a file of questions and one of annotations, with ten answers each."""
    with _errors_naming(annotations):
        answers = _index(_list_in(_load_json(annotations), "annotations"), "question_id")
    with _errors_naming(questions):
        rows = _index(_list_in(_load_json(questions), "questions"), "question_id")
    if missing := [number for number in rows if number not in answers]:
        raise ValueError(f"{annotations}: no annotation for question {missing[0]} of {questions}")
    with _errors_naming(f"{questions} and {annotations}"):
        return [_vqa_question(row, answers[number]) for number, row in rows.items()]


def _vqa_question(row: dict[str, Any], annotation: dict[str, Any]) -> Question:
    answers = tuple(answer["answer"] for answer in annotation["answers"])
    if not answers:
        raise ValueError(f"question {row['question_id']} has no answers")
    kind = annotation.get("answer_type", "")
    return Question(str(row["image_id"]), row["question"], answers, row["question_id"], kind)


def read_captions(path: str | Path) -> dict[str, list[str]]:
    """Reads COCO captions by image, from annotations or from results, which are a plain list."""
    with _errors_naming(path):
        content = _load_json(path)
        if isinstance(content, list):
            rows, names = content, {}
        else:
            rows, names = _list_in(content, "annotations"), _file_names(content)
        captions: dict[str, list[str]] = {}
        for row in rows:
            number = row["image_id"]
            image = _lookup(names, number, "images") if names else str(number)
            captions.setdefault(image, []).append(row["caption"])
        return captions


def read_objects(path: str | Path) -> dict[str, set[str]]:
    """Reads the categories of COCO instances by image; images without instances have an empty set."""
    with _errors_naming(path):
        content = _load_json(path)
        names = _file_names(content)
        categories = _index(_list_in(content, "categories"), "id")
        objects: dict[str, set[str]] = {name: set() for name in names.values()}
        for row in _list_in(content, "annotations"):
            category = _lookup(categories, row["category_id"], "categories")
            objects[_lookup(names, row["image_id"], "images")].add(category["name"])
        return objects


def read_refs(path: str | Path, instances: str | Path, *, split: str | None = None) -> list[Expression]:
    """Reads RefCOCO's refs (a pickle such as refs(unc).p, or JSON) with the boxes of its instances.

    A pickle must hold only lists, dicts, strings and numbers, so that it runs no code. Returns an expression
    per sentence; `split` selects a split such as "testA".
    """
    with _errors_naming(instances):
        content = _load_json(instances)
        annotations = _index(_list_in(content, "annotations"), "id")
        images = _index(_list_in(content, "images"), "id")
    with _errors_naming(path):
        refs = _load_pickle(path) if Path(path).suffix in (".p", ".pkl", ".pickle") else _load_json(path)
        return [
            Expression(image["file_name"], sentence["sent"], box, image["width"], image["height"])
            for ref in _as_objects(refs)
            if split in (None, ref["split"])
            for image in [_lookup(images, ref["image_id"], f"images of {instances}")]
            for box in [corners(_lookup(annotations, ref["ann_id"], f"annotations of {instances}")["bbox"])]
            for sentence in ref["sentences"]
        ]


def read_expressions(path: str | Path) -> list[Expression]:
    """Reads JSON lines of referring expressions: RefCOCOS (normal_caption, solution: a box or null), or plain
    sent and bbox_xyxy."""
    return _read_records(path, _expression)


def _expression(row: dict[str, Any]) -> Expression:
    box = row["bbox_xyxy"] if "bbox_xyxy" in row else row["solution"]
    text = row["sent"] if "sent" in row else row["normal_caption"]
    image = row["file_name"] if "file_name" in row else row["image"]
    return Expression(str(image), text, None if box is None else _check_box(box), row["width"], row["height"])


def _check_box(box: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise ValueError(f"a box must be left, top, right, bottom, got {list(box)}")
    return left, top, right, bottom


def corners(box: Iterable[float]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of COCO's (left, top, width, height)."""
    left, top, width, height = box
    return left, top, left + width, top + height


def _file_names(content: dict[str, Any]) -> dict[Any, str]:
    """File names by image id; empty if a file lists no images."""
    images = _index(_as_object(content).get("images", ()), "id")
    _index(images.values(), "file_name")
    return {number: row["file_name"] for number, row in images.items()}


def _index(rows: Iterable[dict[str, Any]], key: str) -> dict[Any, dict[str, Any]]:
    """Rows by the value of a key. Raises ValueError if different rows share a value."""
    index: dict[Any, dict[str, Any]] = {}
    for row in rows:
        if index.setdefault(row[key], row) != row:
            raise ValueError(f"duplicate {key} {row[key]!r}")
    return index


def _lookup(table: dict[Any, Any], key: Any, name: str) -> Any:
    """The entry of a key in the table of this name."""
    if key not in table:
        raise ValueError(f"{key!r} is not among the {name}")
    return table[key]


def _list_in(content: Any, name: str) -> list[dict[str, Any]]:
    """The list of this name in a JSON object."""
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object with {name!r}, got a {type(content).__name__}")
    return content[name]


def _as_objects(content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, list):
        raise ValueError(f"expected a list of objects, got a {type(content).__name__}")
    return list(map(_as_object, content))


def _load_json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8-sig"))


def _read_records(path: str | Path, parse: Callable[[dict[str, Any]], Record]) -> list[Record]:
    """Parses the JSON object of each line, or of each item of a JSON list; errors name the line or item."""
    with _errors_naming(path):
        text = Path(path).read_text(encoding="utf-8-sig")
        is_list = text.lstrip().startswith("[")
        rows = json.loads(text) if is_list else text.split("\n")
    records = []
    for number, row in enumerate(rows, start=1):
        if is_list or row.strip():
            with _errors_naming(f"{path}: {'item' if is_list else 'line'} {number}"):
                records.append(parse(_as_object(row if is_list else json.loads(row))))
    return records


def _as_object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, got a {type(row).__name__}")
    return row


class _SafeUnpickler(pickle.Unpickler):
    """Unpickles only built-in containers, strings and numbers."""

    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"it names {module}.{name}; only plain lists, dicts, strings and numbers are read")


def _load_pickle(path: str | Path) -> Any:
    with Path(path).open("rb") as file:
        return _SafeUnpickler(file, encoding="utf-8").load()


@contextmanager
def _errors_naming(path: str | Path) -> Iterator[None]:
    """Turn errors in a file's content into a ValueError that names the file."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: not in the expected format: {error}") from error
