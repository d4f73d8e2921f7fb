"""Questions and statements in WebDataset shards as documents: image, question, answer. Knows no tokenizer.

The metadata of a sample hold what is asked, so the captions stay where they are for other sources. Answers
alone are learned.
"""

from array import array
from random import Random
from typing import Any

from PIL import Image

from unitok.data.files.compact_lists import Values
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Source
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box


class QuestionShards(Source):
    """A document for each question of a folder's samples, or for some in a row.

    The metadata have qa, pairs of question and answer.

    Args:
        path, split, where: of WebDataset.
        boxes: also ask where each captioned thing is, which needs bbox_xyxy in pixels: "a red circle" becomes
            "where is the red circle?", answered by its box, and by its caption where the box is given.

    Raises:
        ValueError: no sample has questions, one has no box where boxes are wanted, or turns is below 1.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        where: dict[str, Any] | None = None,
        boxes: bool = False,
        turns: int = 1,
    ):
        if turns < 1:
            raise ValueError(f"a document asks 1 question or more, not {turns}")
        self.shards, self.boxes = WebDataset(path, split, where), boxes
        self._samples, self._numbers, self._ends = array("q"), array("q"), array("q", [0])
        for sample in range(len(self.shards)):
            record = self.shards.metadata(sample)
            if boxes and "bbox_xyxy" not in record:
                raise ValueError(f"{path}/{split}: sample {sample} has no bbox_xyxy")
            numbers = list(range(len(record.get("qa", ())) + 2 * boxes))
            if turns > 1:
                Random(f"questions of {sample}").shuffle(numbers)
            for start in range(0, len(numbers), turns):
                self._samples.append(sample)
                self._numbers.extend(numbers[start : start + turns])
                self._ends.append(len(self._numbers))
        if not self._samples:
            raise ValueError(f"{path}/{split}: no sample has questions (qa)")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Document:
        place = range(len(self))[index]
        sample, numbers = self._samples[place], self._numbers[self._ends[place] : self._ends[place + 1]]
        caption, picture = self.shards[sample]
        turns = _turns(self.shards.metadata(sample), caption.content, picture.content, boxes=self.boxes)
        document = [_unlearned(picture)]
        for *question, answer in (turns[number] for number in numbers):
            document += [*map(_unlearned, question), answer]
        return tuple(document)


def _turns(
    record: dict[str, Any], caption: str, picture: Image.Image, *, boxes: bool
) -> list[tuple[Segment, ...]]:
    """What is asked about a picture, each with its answer at the end."""
    turns = [
        (Segment("text", question), Segment("text", answer)) for question, answer in record.get("qa", ())
    ]
    if boxes:
        left, top, right, bottom = record["bbox_xyxy"]
        box = Segment("box", Box.of_pixels((left, top, right, bottom), picture.width, picture.height))
        named = caption.removeprefix("an ").removeprefix("a ")
        turns.append((Segment("text", f"where is the {named}?"), box))
        turns.append((Segment("text", "what is here?"), box, Segment("text", caption)))
    return turns


class StatementShards(Source):
    """A document for each statement of a folder's samples: picture, sentence, and "true" or "false".

    Args:
        path, split, where: of WebDataset; metadata have sentence and label.

    Raises:
        ValueError: a sample has no statement.
    """

    verdicts = ("true", "false")
    """What is said of a true statement and of a false one."""

    def __init__(self, path: str, split: str = "train", where: dict[str, Any] | None = None):
        self.shards = WebDataset(path, split, where)
        self.records = Values(self.shards.metadata(sample) for sample in range(len(self.shards)))
        for sample, record in enumerate(self.records):
            if str(record.get("label")).lower() not in ("true", "false") or "sentence" not in record:
                raise ValueError(f"{path}/{split}: sample {sample} has no sentence that is true or false")

    def __len__(self) -> int:
        return len(self.records)

    def truth(self, index: int) -> bool:
        """Whether a statement is true."""
        return str(self.records[index]["label"]).lower() == "true"

    def sentence(self, index: int) -> str:
        """What statements of the same words have in common; a statement's own number where none is given."""
        return str(self.records[index].get("group_id", index))

    def __getitem__(self, index: int) -> Document:
        _, picture = self.shards[index]
        text = Segment("text", self.records[index]["sentence"], learn=False)
        return _unlearned(picture), text, self.verdict(index)

    def verdict(self, index: int) -> Segment:
        """What is said of a statement."""
        true, false = self.verdicts
        return Segment("text", true if self.truth(index) else false)


def _unlearned(segment: Segment) -> Segment:
    return Segment(segment.modality, segment.content, learn=False)
