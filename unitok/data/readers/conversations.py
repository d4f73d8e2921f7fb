"""Conversations about images, in LLaVA's format and in `messages`.

Knows no tokenizer, and not what a template adds to the turns.
"""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any

from unitok.chat_template import ChatTemplate, Role, Turn
from unitok.data.faults import SampleError
from unitok.data.files.records import Record
from unitok.data.readers.columns import find_image_columns
from unitok.data.readers.record_reader import RecordReader
from unitok.data.readers.segments import names_no_image, text_segment
from unitok.document import Document, Segment

MARK = "<image>"
COLUMNS = ("images", "image")
ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "gpt": "assistant", "assistant": "assistant", "model": "assistant",
}  # fmt: skip
"""Roles by their names in records; any other name is the user's."""


class _Conversation(RecordReader):
    """Turns whose texts mark the places of images; images without any mark come first."""

    chat = ChatTemplate()

    def with_chat(self, template: ChatTemplate) -> "_Conversation":
        new = copy(self)
        new.chat = template
        return new

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        images = [*self._images(record)]
        turns = self._turns(record, images, path=path, offset=offset)
        if images and not any(segment.modality == "image" for turn in turns for segment in turn.content):
            segments = tuple(self.image(value, path=path, offset=offset) for value in images)
            turns, images = _prepend_images(segments, turns), []
        if images:
            detail = f"{len(images)} images have no mark <image>"
            raise SampleError("parts do not match", path, detail, offset=offset)
        if not any(turn.role == "assistant" and turn.content for turn in turns):
            raise SampleError("no caption", path, "no turn is the model's", offset=offset)
        return self.chat.render(turns)

    @classmethod
    def unread_images(cls, records: Sequence[Record]) -> list[str]:
        return find_image_columns(records, known=COLUMNS)

    @abstractmethod
    def _turns(self, record: Record, images: list[Any], *, path: str, offset: int | None) -> Sequence[Turn]:
        """Parses the turns; removes from `images` those that have a place."""

    @staticmethod
    def _images(record: Record) -> list[Any]:
        value = next((record[name] for name in COLUMNS if not names_no_image(record.get(name))), None)
        return [one for one in (value if isinstance(value, list) else [value]) if not names_no_image(one)]

    @staticmethod
    def _read_list(record: Record, name: str, *, path: str, offset: int | None) -> list[Any]:
        if not isinstance(record.get(name), list):
            raise SampleError("missing column", path, f"it has no list {name!r}", offset=offset)
        return record[name]

    def _segments(self, content: str, images: list[Any], *, path: str, offset: int | None) -> list[Segment]:
        """Splits a text at its marks into segments; removes one of `images` for each mark."""
        segments: list[Segment] = []
        for number, piece in enumerate(content.split(MARK)):
            if number:
                if not images:
                    detail = "there are more marks <image> than images"
                    raise SampleError("parts do not match", path, detail, offset=offset)
                segments.append(self.image(images.pop(0), path=path, offset=offset))
            if piece.strip():
                segments.append(text_segment(piece, path=path, offset=offset))
        return segments


def _role(name: Any) -> Role:
    return ROLES.get(name, "user") if isinstance(name, str) else "user"


def _prepend_images(images: Document, turns: Sequence[Turn]) -> list[Turn]:
    """Puts images at the beginning of the user's first turn, after system turns."""
    first = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    prompt = turns[first].content if turns[first:] and turns[first].role == "user" else None
    rest = turns[first:] if prompt is None else turns[first + 1 :]
    return [*turns[:first], Turn("user", (*images, *(prompt or ()))), *rest]


class Llava(_Conversation):
    """LLaVA's conversations: `image` (a file, or several), and turns {"from": "human" or "gpt", "value": …}.

    The turns of gpt are learned; for the rest the chat template decides.
    """

    format = "llava"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("conversations"), list)

    def image_of(self, record: Record) -> str | None:
        image = record.get("image")
        return image if isinstance(image, str) else None

    def _turns(self, record: Record, images: list[Any], *, path: str, offset: int | None) -> list[Turn]:
        place = {"path": path, "offset": offset}
        turns: list[Turn] = []
        for turn in self._read_list(record, "conversations", **place):
            if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
                raise SampleError("caption is no text", path, f"a turn is {turn!r:.80}", offset=offset)
            turns.append(Turn(_role(turn.get("from")), tuple(self._segments(turn["value"], images, **place))))
        return turns


class Messages(_Conversation):
    """Chats: `messages` of {"role": …, "content": …}, and perhaps `images`.

    A content is a string with marks <image>, or a list of parts {"type": "text", "text": …} and
    {"type": "image"} (the next of `images`, or the part's own `image`, `path`, `url` or `image_url`). The
    texts and images of the assistant are learned; for the rest the chat template decides.
    """

    format = "messages"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("messages"), list)

    def _turns(self, record: Record, images: list[Any], *, path: str, offset: int | None) -> list[Turn]:
        place = {"path": path, "offset": offset}
        turns: list[Turn] = []
        for message in self._read_list(record, "messages", **place):
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, str):
                segments = self._segments(content, images, **place)
            elif isinstance(content, list):
                segments = [segment for part in content for segment in self._part(part, images, **place)]
            else:
                raise SampleError("caption is no text", path, f"a message is {message!r:.80}", offset=offset)
            turns.append(Turn(_role(message.get("role")), tuple(segments)))
        return turns

    def _part(self, part: Any, images: list[Any], *, path: str, offset: int | None) -> list[Segment]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            segment = text_segment(part.get("text"), path=path, offset=offset, empty=True)
            return [segment] if segment.content else []
        if kind not in ("image", "image_url"):
            raise SampleError("caption is no text", path, f"a part is {part!r:.80}", offset=offset)
        values = (part.get(name) for name in ("image", "path", "url", "image_url"))
        image = next((value for value in values if not names_no_image(value)), None)
        if image is None:
            return self._segments(MARK, images, path=path, offset=offset)
        return [self.image(image, path=path, offset=offset)]
