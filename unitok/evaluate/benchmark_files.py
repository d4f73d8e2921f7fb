"""Parses the files of public benchmarks: questions, captions, boxes, statements. Knows no model.

Pictures are named as the files name them: by file name, or by COCO's number. Boxes are (left, top, right,
bottom) in pixels of the picture that the file was made for.
"""

import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Row = TypeVar("Row")


class Question(NamedTuple):
    """A question about a picture and what people answered, once or several times; `kind` is VQA's type of
    answer, such as "yes/no"."""

    picture: str
    text: str
    answers: tuple[str, ...]
    number: int | str = 0
    kind: str = ""


class Expression(NamedTuple):
    """What somebody calls a thing in a picture of width × height pixels; no box where it is not there."""

    picture: str
    text: str
    box: tuple[float, float, float, float] | None
    width: int
    height: int


class Statement(NamedTuple):
    """A sentence about one picture or two, and whether it is true; `sentence` is alike for the same words."""

    pictures: tuple[str, ...]
    text: str
    truth: bool
    sentence: str


def read_pope(path: str | Path) -> list[Question]:
    """POPE's questions: JSON lines of image, text, label ("yes" or "no", in any case)."""
    return _each(path, _yes_or_no)


def _yes_or_no(row: dict[str, Any]) -> Question:
    label = _one_of(("yes", "no"), row["label"])
    return Question(str(row["image"]), row["text"], (label,), row["question_id"])


def read_vqa(questions: str | Path, annotations: str | Path) -> list[Question]:
    """VQA v2: a file of questions and one of annotations, ten answers each."""
    with _blaming(annotations):
        answers = _by(_list(_json(annotations), "annotations"), "question_id")
    with _blaming(questions):
        asked = _by(_list(_json(questions), "questions"), "question_id")
    if lacking := [number for number in asked if number not in answers]:
        raise ValueError(f"{annotations}: no annotation of question {lacking[0]}, which {questions} asks")
    with _blaming(f"{questions} and {annotations}"):
        return [_asked(row, answers[number]) for number, row in asked.items()]


def _asked(row: dict[str, Any], answered: dict[str, Any]) -> Question:
    people = tuple(each["answer"] for each in answered["answers"])
    if not people:
        raise ValueError(f"question {row['question_id']} has no answers")
    kind = answered.get("answer_type", "")
    return Question(str(row["image_id"]), row["question"], people, row["question_id"], kind)


def read_gqa(path: str | Path) -> list[Question]:
    """GQA's questions: an object of question, imageId, answer by number."""
    with _blaming(path):
        return [
            Question(str(row["imageId"]), row["question"], (row["answer"],), number)
            for number, row in _json(path).items()
        ]


def read_visual_genome(path: str | Path) -> list[Question]:
    """Visual Genome's questions: a list of pictures, each with its qas."""
    with _blaming(path):
        return [
            Question(str(qa["image_id"]), qa["question"], (qa["answer"],), qa["qa_id"])
            for picture in _json(path)
            for qa in picture["qas"]
        ]


def read_captions(path: str | Path) -> dict[str, list[str]]:
    """COCO's captions by picture: annotations, or results, which are a plain list."""
    with _blaming(path):
        found = _json(path)
        rows, names = (
            (found, {}) if isinstance(found, list) else (_list(found, "annotations"), _file_names(found))
        )
        captions: dict[str, list[str]] = {}
        for row in rows:
            number = row["image_id"]
            picture = _of(names, number, "images") if names else str(number)
            captions.setdefault(picture, []).append(row["caption"])
        return captions


def read_objects(path: str | Path) -> dict[str, set[str]]:
    """The categories of COCO's instances by picture; pictures without any have an empty set."""
    with _blaming(path):
        found = _json(path)
        names = _file_names(found)
        categories = _by(_list(found, "categories"), "id")
        objects: dict[str, set[str]] = {name: set() for name in names.values()}
        for row in _list(found, "annotations"):
            category = _of(categories, row["category_id"], "categories")
            objects[_of(names, row["image_id"], "images")].add(category["name"])
        return objects


def read_refs(path: str | Path, instances: str | Path, *, split: str | None = None) -> list[Expression]:
    """RefCOCO's refs (a pickle such as refs(unc).p, or the same as JSON) with the boxes of its instances.

    Of a pickle only plain lists, dicts, strings and numbers are read; one that names anything else is
    refused. An expression for each sentence; `split` keeps one such as "testA".
    """
    with _blaming(instances):
        found = _json(instances)
        things = _by(_list(found, "annotations"), "id")
        pictures = _by(_list(found, "images"), "id")
    with _blaming(path):
        refs = _plain_pickle(path) if Path(path).suffix in (".p", ".pkl", ".pickle") else _json(path)
        return [
            Expression(picture["file_name"], sentence["sent"], box, picture["width"], picture["height"])
            for ref in _rows(refs)
            if split in (None, ref["split"])
            for picture in [_of(pictures, ref["image_id"], f"images of {instances}")]
            for box in [corners(_of(things, ref["ann_id"], f"annotations of {instances}")["bbox"])]
            for sentence in ref["sentences"]
        ]


def read_expressions(path: str | Path) -> list[Expression]:
    """JSON lines of referring expressions: RefCOCOS (normal_caption, solution: a box or null), or the plain
    sent and bbox_xyxy."""
    return _each(path, _expression)


def _expression(row: dict[str, Any]) -> Expression:
    box = row["bbox_xyxy"] if "bbox_xyxy" in row else row["solution"]
    text = row["sent"] if "sent" in row else row["normal_caption"]
    picture = row["file_name"] if "file_name" in row else row["image"]
    return Expression(str(picture), text, None if box is None else _edges(box), row["width"], row["height"])


def _edges(box: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise ValueError(f"a box must be left, top, right, bottom, got {list(box)}")
    return left, top, right, bottom


def read_nlvr2(path: str | Path) -> list[Statement]:
    """NLVR2's examples: JSON lines of sentence, label ("True" or "False"), identifier such as dev-850-0-1.

    The pictures of identifier A-B-C-D are A-B-C-img0.png and A-B-C-img1.png.
    """
    return _each(path, _statement)


def _statement(row: dict[str, Any]) -> Statement:
    split, group, pair, sentence = row["identifier"].split("-")
    truth = _one_of(("true", "false"), row["label"]) == "true"
    pictures = tuple(f"{split}-{group}-{pair}-img{side}.png" for side in (0, 1))
    return Statement(pictures, row["sentence"], truth, f"{split}-{group}-{sentence}")


def corners(box: Iterable[float]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of COCO's (left, top, width, height)."""
    left, top, width, height = box
    return left, top, left + width, top + height


def _one_of(known: Sequence[str], label: Any) -> str:
    """A label as it is known, whatever its case and the white space around it."""
    said = str(label).strip().casefold()
    if said not in known:
        raise ValueError(f"label must be {' or '.join(known)}, got {label!r}")
    return said


def _file_names(found: dict[str, Any]) -> dict[Any, str]:
    """Names of files by their numbers; empty where a file tells of no pictures."""
    images = _by(_object(found).get("images", ()), "id")
    _by(images.values(), "file_name")
    return {number: row["file_name"] for number, row in images.items()}


def _by(rows: Iterable[dict[str, Any]], key: str) -> dict[Any, dict[str, Any]]:
    """Rows by one of their values, which no two different rows share."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        if found.setdefault(row[key], row) != row:
            raise ValueError(f"{key} {row[key]!r} is there twice")
    return found


def _of(table: dict[Any, Any], key: Any, called: str) -> Any:
    """What a table has for a key."""
    if key not in table:
        raise ValueError(f"{key!r} is not among the {called}")
    return table[key]


def _list(found: Any, name: str) -> list[dict[str, Any]]:
    """A list of a JSON object."""
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object with {name!r}, got a {type(found).__name__}")
    return found[name]


def _rows(found: Any) -> list[dict[str, Any]]:
    """A plain list of objects."""
    if not isinstance(found, list):
        raise ValueError(f"expected a list of objects, got a {type(found).__name__}")
    return list(map(_object, found))


def _json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8-sig"))


def _each(path: str | Path, read: Callable[[dict[str, Any]], Row]) -> list[Row]:
    """What is read of each line's JSON object, or of each in one JSON list. A fault names its line."""
    with _blaming(path):
        text = Path(path).read_text(encoding="utf-8-sig")
        whole = text.lstrip().startswith("[")
        rows = json.loads(text) if whole else text.split("\n")
    found = []
    for number, row in enumerate(rows, start=1):
        if whole or row.strip():
            with _blaming(f"{path}: {'item' if whole else 'line'} {number}"):
                found.append(read(_object(row if whole else json.loads(row))))
    return found


def _object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, got a {type(row).__name__}")
    return row


class _Plain(pickle.Unpickler):
    """Unpickles builtin containers, strings and numbers alone."""

    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"it names {module}.{name}; only plain lists, dicts, strings and numbers are read")


def _plain_pickle(path: str | Path) -> Any:
    with Path(path).open("rb") as file:
        return _Plain(file, encoding="utf-8").load()


@contextmanager
def _blaming(path: str | Path) -> Iterator[None]:
    """Faults of a file as one ValueError that names it."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: not in the expected format: {error}") from error
