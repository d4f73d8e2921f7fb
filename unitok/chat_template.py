"""Chat templates: turns of a conversation to segments of a document. Knows no codes and no ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from unitok.document import Document, Said, Segment

Role = Literal["system", "user", "assistant"]
Learn = Literal["answers", "all"]


class Turn(NamedTuple):
    """What one role says or shows."""

    role: Role
    said: Document


@dataclass(frozen=True)
class ChatTemplate:
    """Turns as segments of one document, in training as in every conversation with the model.

    Each text or picture of a turn is a segment, whose begin and end are ids that no text can hold: they are
    what ends a text, and a mark has no counterpart after a turn. A mark is a text segment of its own. What
    somebody says that is a mark to the letter gets a blank before it, and what a tokenizer reads as one is
    changed when it becomes codes (Said), so that a whole segment that is a mark is the template's own.

    Args:
        system: said first where a conversation has no system turn of its own; empty for nothing.
        system_mark: before what the system says; empty for none.
        user_mark: the same of the user.
        assistant_mark: the same of the assistant; what the model writes follows it.
        learn: in training "answers" learns what the assistant says, "all" everything.

    Raises:
        ValueError: `learn` is something else, or two roles have one mark.

    Example:
        >>> template = ChatTemplate(user_mark="user:", assistant_mark="model:")
        >>> turns = [Turn("user", (Segment("text", "hi"),)), Turn("assistant", (Segment("text", "hello"),))]
        >>> [(segment.content, segment.learn) for segment in template.render(turns)]
        [('user:', False), ('hi', False), ('model:', False), ('hello', True)]
    """

    system: str = ""
    system_mark: str = ""
    user_mark: str = ""
    assistant_mark: str = ""
    learn: Learn = "answers"

    def __post_init__(self):
        marks = [mark for mark in self._marks.values() if mark]
        if self.learn not in get_args(Learn):
            raise ValueError(f"a chat learns {' or '.join(get_args(Learn))}, not {self.learn!r}")
        if len(set(marks)) < len(marks):
            raise ValueError(f"marks tell roles apart; got {', '.join(map(repr, marks))}")

    @property
    def _marks(self) -> dict[Role, str]:
        return {"system": self.system_mark, "user": self.user_mark, "assistant": self.assistant_mark}

    def render(self, turns: Sequence[Turn]) -> Document:
        """A whole conversation, for training."""
        everything, segments = self.learn == "all", []
        for turn in self._opened(turns):
            segments += [replace(mark, learn=everything) for mark in self._mark(turn.role)]
            learn = everything or turn.role == "assistant"
            segments += [replace(said, learn=learn) for said in self._said(turn)]
        return tuple(segments)

    def prompt(self, turns: Sequence[Turn] = (), *, past: Document = ()) -> Document:
        """What the assistant goes on with: the document so far, these turns, and its mark.

        `past` is what this call returned before with what was written after it. Without new turns, and after
        a turn of its own, the assistant goes on where it is.
        """
        turns = _spoken(turns) if past else self._opened(turns)
        goes_on = turns[-1].role == "assistant" if turns and turns[-1].role != "system" else bool(past)
        asked = () if goes_on else self._mark("assistant")
        return (*past, *(s for turn in turns for s in (*self._mark(turn.role), *self._said(turn))), *asked)

    def _opened(self, turns: Sequence[Turn]) -> list[Turn]:
        """The turns that say something, after the system's own."""
        if not self.system or any(turn.role == "system" for turn in turns):
            return _spoken(turns)
        return [Turn("system", (Segment("text", self.system),)), *_spoken(turns)]

    def _mark(self, role: Role) -> Document:
        mark = self._marks[role]
        return (Segment("text", mark),) if mark else ()

    def _said(self, turn: Turn) -> Document:
        """A turn's segments, none of them a mark."""
        marks = tuple(mark for mark in self._marks.values() if mark)
        return tuple(
            replace(s, content=_unlike(s.content, marks))
            if marks and isinstance(s, Segment) and s.modality == "text"
            else s
            for s in turn.said
        )


def _unlike(text: str, marks: tuple[str, ...]) -> Said:
    return Said(f" {text}" if text in marks else text, marks)


def _spoken(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.said]
