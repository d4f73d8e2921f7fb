"""Chat templates: turns of a conversation to segments of a document. Knows no codes and no ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from unitok.document import Document, Segment, TurnText

Role = Literal["system", "user", "assistant"]
Learn = Literal["answers", "all"]


class Turn(NamedTuple):
    """The role and the content of one turn."""

    role: Role
    content: Document


@dataclass(frozen=True)
class ChatTemplate:
    """Renders turns as segments of one document, in training as in every conversation with the model.

    Each text or image of a turn is a segment, whose begin and end are ids that no text can contain: they end
    a text, so a mark needs no counterpart after a turn. A mark is a text segment of its own. A turn's text
    that equals a mark gets a space before it, and one that a tokenizer would encode as a mark is changed when
    it is encoded (TurnText), so that only the template can produce a segment that is a mark.

    Args:
        system: text of the system turn where a conversation has none of its own; empty for none.
        system_mark: text before a system turn; empty for none.
        user_mark: the same before a user turn.
        assistant_mark: the same before an assistant turn; the model's answer follows it.
        learn: loss in training, on the assistant's turns ("answers") or on everything ("all").

    Raises:
        ValueError: `learn` is something else, or two roles share a mark.

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
        marks = [mark for mark in self.marks.values() if mark]
        if self.learn not in get_args(Learn):
            raise ValueError(f"learn must be {' or '.join(get_args(Learn))}, got {self.learn!r}")
        if len(set(marks)) < len(marks):
            raise ValueError(f"marks must be distinct, got {', '.join(map(repr, marks))}")

    @property
    def marks(self) -> dict[Role, str]:
        """The mark of each role; empty for none."""
        return {"system": self.system_mark, "user": self.user_mark, "assistant": self.assistant_mark}

    def render(self, turns: Sequence[Turn]) -> Document:
        """Render a whole conversation, for training."""
        learn_all, segments = self.learn == "all", []
        for turn in self._add_system(turns):
            segments += [replace(mark, learn=learn_all) for mark in self._mark(turn.role)]
            learn = learn_all or turn.role == "assistant"
            segments += [replace(segment, learn=learn) for segment in self._escape(turn)]
        return tuple(segments)

    def prompt(self, turns: Sequence[Turn] = (), *, past: Document = ()) -> Document:
        """Render the prompt for the assistant's next turn: the document so far, new turns, and its mark.

        `past` is the result of an earlier call, followed by the model's answer. Without new turns, and after
        a turn of its own, the assistant continues without another mark.
        """
        turns = _drop_empty(turns) if past else self._add_system(turns)
        continues = turns[-1].role == "assistant" if turns and turns[-1].role != "system" else bool(past)
        mark = () if continues else self._mark("assistant")
        return (*past, *(s for turn in turns for s in (*self._mark(turn.role), *self._escape(turn))), *mark)

    def _add_system(self, turns: Sequence[Turn]) -> list[Turn]:
        """Drop empty turns, and prepend the template's system turn where the conversation has none."""
        if not self.system or any(turn.role == "system" for turn in turns):
            return _drop_empty(turns)
        return [Turn("system", (Segment("text", self.system),)), *_drop_empty(turns)]

    def _mark(self, role: Role) -> Document:
        mark = self.marks[role]
        return (Segment("text", mark),) if mark else ()

    def _escape(self, turn: Turn) -> Document:
        """A turn's segments, none of which can be taken for a mark."""
        marks = tuple(mark for mark in self.marks.values() if mark)
        return tuple(
            replace(s, content=_escape_text(s.content, marks))
            if marks and isinstance(s, Segment) and s.modality == "text"
            else s
            for s in turn.content
        )


def _escape_text(text: str, marks: tuple[str, ...]) -> TurnText:
    return TurnText(f" {text}" if text in marks else text, marks)


def _drop_empty(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.content]
