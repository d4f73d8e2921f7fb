"""The files that benchmarks come in: questions, captions, boxes, statements. Knows no model and no pictures.

Pictures are named as the files name them: by file name, or by COCO's number. Boxes are (left, top, right,
bottom) in pixels of the picture that the file was made for.
"""

import json
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


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
    """POPE's questions: JSON lines of image, text, label ("yes" or "no")."""
    with _blaming(path):
        return [
            Question(row["image"], row["text"], (row["label"],), row["question_id"]) for row in _lines(path)
        ]


def read_vqa(questions: str | Path, annotations: str | Path) -> list[Question]:
    """VQA v2: a file of questions and one of annotations, ten answers each."""
    with _blaming(annotations):
        answers = {
            row["question_id"]: (tuple(each["answer"] for each in row["answers"]), row.get("answer_type", ""))
            for row in _json(annotations)["annotations"]
        }
    with _blaming(questions):
        return [
            Question(str(row["image_id"]), row["question"], people, row["question_id"], kind)
            for row in _json(questions)["questions"]
            for people, kind in [answers[row["question_id"]]]
        ]


def read_gqa(path: str | Path) -> list[Question]:
    """GQA's questions: an object of question, imageId, answer by number."""
    with _blaming(path):
        return [
            Question(row["imageId"], row["question"], (row["answer"],), number)
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
        rows, names = (found, {}) if isinstance(found, list) else (found["annotations"], _file_names(found))
        captions: dict[str, list[str]] = {}
        for row in rows:
            picture = names.get(row["image_id"], str(row["image_id"]))
            captions.setdefault(picture, []).append(row["caption"])
        return captions


def read_objects(path: str | Path) -> dict[str, set[str]]:
    """The categories of COCO's instances by picture; pictures without any have an empty set."""
    with _blaming(path):
        found = _json(path)
        names = _file_names(found)
        categories = {row["id"]: row["name"] for row in found["categories"]}
        objects: dict[str, set[str]] = {name: set() for name in names.values()}
        for row in found["annotations"]:
            objects[names[row["image_id"]]].add(categories[row["category_id"]])
        return objects


def read_refs(path: str | Path, instances: str | Path, *, split: str | None = None) -> list[Expression]:
    """RefCOCO's refs (a pickle such as refs(unc).p, or the same as JSON) with the boxes of its instances.

    Of a pickle only plain lists, dicts, strings and numbers are read; one that names anything else is
    refused. An expression for each sentence; `split` keeps one such as "testA".
    """
    with _blaming(instances):
        found = _json(instances)
        boxes = {row["id"]: row["bbox"] for row in found["annotations"]}
        pictures = {row["id"]: row for row in found["images"]}
    with _blaming(path):
        refs = _plain_pickle(path) if Path(path).suffix in (".p", ".pkl", ".pickle") else _json(path)
        return [
            Expression(
                pictures[ref["image_id"]]["file_name"],
                sentence["sent"],
                corners(boxes[ref["ann_id"]]),
                pictures[ref["image_id"]]["width"],
                pictures[ref["image_id"]]["height"],
            )
            for ref in refs
            if split in (None, ref["split"])
            for sentence in ref["sentences"]
        ]


def read_expressions(path: str | Path) -> list[Expression]:
    """JSON lines of referring expressions: RefCOCOS (normal_caption, solution: a box or null), or the plain
    sent and bbox_xyxy."""
    with _blaming(path):
        return [_expression(row) for row in _lines(path)]


def _expression(row: dict[str, Any]) -> Expression:
    box = row["bbox_xyxy"] if "bbox_xyxy" in row else row["solution"]
    text = row["sent"] if "sent" in row else row["normal_caption"]
    picture = row.get("file_name", row["image"])
    return Expression(picture, text, None if box is None else tuple(box), row["width"], row["height"])


def read_nlvr2(path: str | Path) -> list[Statement]:
    """NLVR2's examples: JSON lines of sentence, label ("True" or "False"), identifier such as dev-850-0-1.

    The pictures of identifier A-B-C-D are A-B-C-img0.png and A-B-C-img1.png.
    """
    with _blaming(path):
        return [_statement(row) for row in _lines(path)]


def _statement(row: dict[str, Any]) -> Statement:
    split, group, pair, sentence = row["identifier"].split("-")
    pictures = tuple(f"{split}-{group}-{pair}-img{side}.png" for side in (0, 1))
    return Statement(pictures, row["sentence"], row["label"] == "True", f"{split}-{group}-{sentence}")


def corners(box: Iterable[float]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of COCO's (left, top, width, height)."""
    left, top, width, height = box
    return left, top, left + width, top + height


def _file_names(found: dict[str, Any]) -> dict[int, str]:
    return {row["id"]: row["file_name"] for row in found.get("images", ())}


def _json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _lines(path: str | Path) -> Iterator[dict[str, Any]]:
    with Path(path).open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


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
