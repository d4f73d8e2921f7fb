"""Questions and statements in WebDataset shards as documents: image, question, answer. Knows no tokenizer.

The questions are in the metadata of a sample, so that other sources can read the captions. Only answers are
learned.
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
    """A document for each question of a folder's samples, or for several questions as turns.

    The metadata hold pairs of question and answer in qa.

    Args:
        path, split, where: see WebDataset.
        boxes: also ask for the place of each captioned object, which needs bbox_xyxy in pixels: "a red
            circle" becomes "where is the red circle?", answered by its box, and "what is here?" with the box,
            answered by its caption.
        turns: questions per document.

    Raises:
        ValueError: no sample has questions, one has no box where boxes are needed, or turns is below 1.
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
            raise ValueError(f"turns must be at least 1, got {turns}")
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
        caption, image = self.shards[sample]
        turns = _turns(self.shards.metadata(sample), caption.content, image.content, boxes=self.boxes)
        document = [_without_learning(image)]
        for *question, answer in (turns[number] for number in numbers):
            document += [*map(_without_learning, question), answer]
        return tuple(document)


def _turns(
    record: dict[str, Any], caption: str, image: Image.Image, *, boxes: bool
) -> list[tuple[Segment, ...]]:
    """The questions about an image, each followed by its answer."""
    turns = [
        (Segment("text", question), Segment("text", answer)) for question, answer in record.get("qa", ())
    ]
    if boxes:
        left, top, right, bottom = record["bbox_xyxy"]
        box = Segment("box", Box.of_pixels((left, top, right, bottom), image.width, image.height))
        noun = caption.removeprefix("an ").removeprefix("a ")
        turns.append((Segment("text", f"where is the {noun}?"), box))
        turns.append((Segment("text", "what is here?"), box, Segment("text", caption)))
    return turns


class StatementShards(Source):
    """A document for each statement of a folder's samples: image, sentence, and "true" or "false".

    Args:
        path, split, where: see WebDataset; the metadata hold sentence and label.

    Raises:
        ValueError: a sample has no statement.
    """

    verdicts = ("true", "false")
    """The answers to a true and to a false statement."""

    def __init__(self, path: str, split: str = "train", where: dict[str, Any] | None = None):
        self.shards = WebDataset(path, split, where)
        self.records = Values(self.shards.metadata(sample) for sample in range(len(self.shards)))
        for sample, record in enumerate(self.records):
            if str(record.get("label")).lower() not in ("true", "false") or "sentence" not in record:
                raise ValueError(
                    f"{path}/{split}: sample {sample} must have a sentence and a label true or false"
                )

    def __len__(self) -> int:
        return len(self.records)

    def truth(self, index: int) -> bool:
        """Whether a statement is true."""
        return str(self.records[index]["label"]).lower() == "true"

    def sentence(self, index: int) -> str:
        """The id shared by statements of the same words; by default a statement's own index."""
        return str(self.records[index].get("group_id", index))

    def __getitem__(self, index: int) -> Document:
        _, image = self.shards[index]
        text = Segment("text", self.records[index]["sentence"], learn=False)
        return _without_learning(image), text, self.verdict(index)

    def verdict(self, index: int) -> Segment:
        """The answer to a statement."""
        true, false = self.verdicts
        return Segment("text", true if self.truth(index) else false)


def _without_learning(segment: Segment) -> Segment:
    return Segment(segment.modality, segment.content, learn=False)
