"""Conversations about images, in LLaVA's format and in `messages`.

Knows no tokenizer; what a template adds to the turns is not known here.
"""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any

from unitok.chat_template import ChatTemplate, Role, Turn
from unitok.data.faults import SampleError
from unitok.data.files.records import Record
from unitok.data.readers.segments import names_no_image, text
from unitok.data.readers.tables import RecordReader, columns_of_images
from unitok.document import Document, Segment

MARK = "<image>"
COLUMNS = ("images", "image")
ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "gpt": "assistant", "assistant": "assistant", "model": "assistant",
}  # fmt: skip
"""By the names that records use; whoever has none of them is the user."""


class _Conversation(RecordReader):
    """Turns whose texts have a mark where an image stands; images without any mark come first."""

    chat = ChatTemplate()

    def told_by(self, template: ChatTemplate) -> "_Conversation":
        told = copy(self)
        told.chat = template
        return told

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        pictures = [*self._pictures(record)]
        turns = self._turns(record, pictures, path=path, offset=offset)
        if pictures and not any(segment.modality == "image" for turn in turns for segment in turn.content):
            shown = tuple(self.picture(one, path=path, offset=offset) for one in pictures)
            turns, pictures = _shown_first(shown, turns), []
        if pictures:
            detail = f"{len(pictures)} pictures have no mark <image>"
            raise SampleError("parts do not match", path, detail, offset=offset)
        if not any(turn.role == "assistant" and turn.content for turn in turns):
            raise SampleError("no caption", path, "no turn is the model's", offset=offset)
        return self.chat.render(turns)

    @classmethod
    def unread_images(cls, records: Sequence[Record]) -> list[str]:
        return columns_of_images(records, known=COLUMNS)

    @abstractmethod
    def _turns(self, record: Record, pictures: list[Any], *, path: str, offset: int | None) -> Sequence[Turn]:
        """Who says what; takes from `pictures` those that have a place."""

    @staticmethod
    def _pictures(record: Record) -> list[Any]:
        found = next((record[name] for name in COLUMNS if not names_no_image(record.get(name))), None)
        return [one for one in (found if isinstance(found, list) else [found]) if not names_no_image(one)]

    @staticmethod
    def _listed(record: Record, name: str, *, path: str, offset: int | None) -> list[Any]:
        if not isinstance(record.get(name), list):
            raise SampleError("missing column", path, f"it has no list {name!r}", offset=offset)
        return record[name]

    def _said(self, content: str, pictures: list[Any], *, path: str, offset: int | None) -> list[Segment]:
        """What a text with marks says; it takes as many of the pictures as it has marks."""
        segments: list[Segment] = []
        for number, piece in enumerate(content.split(MARK)):
            if number:
                if not pictures:
                    detail = "there are more marks <image> than pictures"
                    raise SampleError("parts do not match", path, detail, offset=offset)
                segments.append(self.picture(pictures.pop(0), path=path, offset=offset))
            if piece.strip():
                segments.append(text(piece, path=path, offset=offset))
        return segments


def _role(name: Any) -> Role:
    return ROLES.get(name, "user") if isinstance(name, str) else "user"


def _shown_first(shown: Document, turns: Sequence[Turn]) -> list[Turn]:
    """The user shows these images before anything else that is no system turn."""
    first = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    asked = turns[first].content if turns[first:] and turns[first].role == "user" else None
    rest = turns[first:] if asked is None else turns[first + 1 :]
    return [*turns[:first], Turn("user", (*shown, *(asked or ()))), *rest]


class Llava(_Conversation):
    """LLaVA's conversations: `image` (a file, or several), and turns {"from": "human" or "gpt", "value": …}.

    What gpt says is learned, the rest by the chat template.
    """

    format = "llava"
    looks_like = "a table as above, or a .json list, with a list named conversations"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("conversations"), list)

    def _turns(self, record: Record, pictures: list[Any], *, path: str, offset: int | None) -> list[Turn]:
        place = {"path": path, "offset": offset}
        told = self._listed(record, "conversations", **place)
        turns: list[Turn] = []
        for turn in told:
            if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
                raise SampleError("caption is no text", path, f"a turn is {turn!r:.80}", offset=offset)
            turns.append(Turn(_role(turn.get("from")), tuple(self._said(turn["value"], pictures, **place))))
        return turns


class Messages(_Conversation):
    """Chats: `messages` of {"role": …, "content": …}, and perhaps `images`.

    A content is a string with marks <image>, or a list of parts {"type": "text", "text": …} and
    {"type": "image"} (the next of `images`, or the part's own `image`, `path`, `url` or `image_url`). What
    the assistant says or draws is learned, the rest by the chat template.
    """

    format = "messages"
    looks_like = "a table as above, or a .json list, with a list named messages"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("messages"), list)

    def _turns(self, record: Record, pictures: list[Any], *, path: str, offset: int | None) -> list[Turn]:
        place = {"path": path, "offset": offset}
        turns: list[Turn] = []
        for turn in self._listed(record, "messages", **place):
            content = turn.get("content") if isinstance(turn, dict) else None
            if isinstance(content, str):
                said = self._said(content, pictures, **place)
            elif isinstance(content, list):
                said = [segment for part in content for segment in self._part(part, pictures, **place)]
            else:
                raise SampleError("caption is no text", path, f"a message is {turn!r:.80}", offset=offset)
            turns.append(Turn(_role(turn.get("role")), tuple(said)))
        return turns

    def _part(self, part: Any, pictures: list[Any], *, path: str, offset: int | None) -> list[Segment]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            said = text(part.get("text"), path=path, offset=offset, empty=True)
            return [said] if said.content else []
        if kind not in ("image", "image_url"):
            raise SampleError("caption is no text", path, f"a part is {part!r:.80}", offset=offset)
        own = (part.get(name) for name in ("image", "path", "url", "image_url"))
        shown = next((value for value in own if not names_no_image(value)), None)
        if shown is None:
            return self._said(MARK, pictures, path=path, offset=offset)
        return [self.picture(shown, path=path, offset=offset)]
