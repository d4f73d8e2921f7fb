"""Conversations about pictures, LLaVA's and `messages`: only what the model should say is learned.

Knows no chat template: each turn is segments of its own.
"""

from typing import Any

from unitok.data.faults import SampleError
from unitok.data.readers.contents import text
from unitok.data.readers.records import Record
from unitok.data.readers.tables import RecordReader
from unitok.document import Document, Segment

MARK = "<image>"


class _Conversation(RecordReader):
    """Turns whose texts have a mark where a picture stands."""

    @staticmethod
    def _pictures(record: Record) -> list[Any]:
        found = record.get("images", record.get("image"))
        return found if isinstance(found, list) else [] if found is None else [found]

    def _turn(
        self, content: str, pictures: list[Any], *, learn: bool, path: str, offset: int | None
    ) -> list[Segment]:
        """A turn's segments; it takes as many of the pictures as it has marks."""
        segments: list[Segment] = []
        for number, piece in enumerate(content.split(MARK)):
            if number:
                if not pictures:
                    detail = "there are more marks <image> than pictures"
                    raise SampleError("parts do not match", path, detail, offset=offset)
                segments.append(self.picture(pictures.pop(0), path=path, offset=offset, learn=learn))
            if piece.strip():
                segments.append(text(piece, path=path, offset=offset, learn=learn))
        return segments

    @staticmethod
    def _whole(segments: list[Segment], left: list[Any], *, path: str, offset: int | None) -> Document:
        if left:
            detail = f"{len(left)} pictures have no mark <image>"
            raise SampleError("parts do not match", path, detail, offset=offset)
        if not any(segment.learn for segment in segments):
            raise SampleError("no caption", path, "no turn is the model's", offset=offset)
        return tuple(segments)


class Llava(_Conversation):
    """LLaVA's conversations: `image` (a file, or several), and turns {"from": "human" or "gpt", "value": …}.

    What gpt says is learned, the rest is not. A picture without its mark <image> comes first.
    """

    format = "llava"
    looks_like = "a table as above, or a .json list, with a list named conversations"
    SPEAKS = ("gpt", "assistant", "model")

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("conversations"), list)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        turns, pictures = record.get("conversations"), [*self._pictures(record)]
        if not isinstance(turns, list):
            raise SampleError("missing column", path, "it has no list 'conversations'", offset=offset)
        segments: list[Segment] = []
        place = {"path": path, "offset": offset}
        if pictures and not any(MARK in str(t.get("value")) for t in turns if isinstance(t, dict)):
            segments = [self.picture(shown, **place, learn=False) for shown in pictures]
            pictures = []
        for turn in turns:
            if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
                raise SampleError("caption is no text", path, f"a turn is {turn!r:.80}", offset=offset)
            segments += self._turn(turn["value"], pictures, learn=turn.get("from") in self.SPEAKS, **place)
        return self._whole(segments, pictures, **place)


class Messages(_Conversation):
    """Chats: `messages` of {"role": …, "content": …}, and perhaps `images`.

    A content is a string with marks <image>, or a list of parts {"type": "text", "text": …} and
    {"type": "image"} (the next of `images`, or the part's own `image`, `path`, `url` or `image_url`). What
    the assistant says or draws is learned, the rest is not.
    """

    format = "messages"
    looks_like = "a table as above, or a .json list, with a list named messages"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("messages"), list)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        turns, pictures = record.get("messages"), [*self._pictures(record)]
        if not isinstance(turns, list):
            raise SampleError("missing column", path, "it has no list 'messages'", offset=offset)
        place = {"path": path, "offset": offset}
        segments: list[Segment] = []
        for turn in turns:
            content = turn.get("content") if isinstance(turn, dict) else None
            learn = isinstance(turn, dict) and turn.get("role") in ("assistant", "model")
            if isinstance(content, str):
                segments += self._turn(content, pictures, learn=learn, **place)
            elif isinstance(content, list):
                for part in content:
                    segments += self._part(part, pictures, learn=learn, **place)
            else:
                raise SampleError("caption is no text", path, f"a message is {turn!r:.80}", offset=offset)
        return self._whole(segments, pictures, **place)

    def _part(
        self, part: Any, pictures: list[Any], *, learn: bool, path: str, offset: int | None
    ) -> list[Segment]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            said = text(part.get("text"), path=path, offset=offset, learn=learn, empty=True)
            return [said] if said.content else []
        if kind not in ("image", "image_url"):
            raise SampleError("caption is no text", path, f"a part is {part!r:.80}", offset=offset)
        own = (part.get(name) for name in ("image", "path", "url", "image_url"))
        shown = next((value for value in own if value is not None), None)
        if shown is None:
            return self._turn(MARK, pictures, learn=learn, path=path, offset=offset)
        return [self.picture(shown, path=path, offset=offset, learn=learn)]
