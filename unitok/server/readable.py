"""Leaves out of a conversation what the model never learned to read, and says so. Knows no images and no ids.

One rule: a system message, and the words beside an image, are left out where the model never learned to read
them and something is left; all else is answered as it is. Every answer has these sentences in `warnings`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from unitok.api.unitok import UniTok
from unitok.server.schemas import ImagePart, Message, TextPart

SYSTEM = ("system", "developer")
NEEDED = {
    ("text", True, True): ("questions", "boxes", "chat"),
    ("text", True, False): ("captions", "chat"),
    ("text", False, True): ("chat", "texts", "pages"),
    ("image", True, True): ("edits", "fills"),
    ("image", False, True): ("drawings",),
    ("box", True, True): ("boxes",),
    ("point", True, True): ("boxes",),
    ("action", True, True): ("actions",),
}
"""The tasks of which a model must have learned one, by the modality that is asked for, and whether the
conversation has images and texts."""


class Readable(NamedTuple):
    """A conversation as the model can read it, and a sentence for each thing that it never learned."""

    messages: list[Message]
    warnings: list[str]


def leave_out(messages: Sequence[Message], modalities: Sequence[str], model: UniTok) -> Readable:
    """Leaves out what the model never learned to read; a model whose tasks are not recorded reads everything.

    Messages stay in their places, since errors name them by their number.

    Args:
        messages: of the conversation.
        modalities: asked for in the answer.
        model: that answers.
    """
    messages, warnings = list(messages), []
    if model.tasks is None:
        return Readable(messages, warnings)
    if (line := model.unlearned("system")) and any(_is_system(m) and m.parts for m in messages):
        without = _keep(messages, lambda message, part: not _is_system(message))
        if any(message.parts for message in without):
            messages = without
            warnings.append(f"system messages are left out: {line}")
    images, texts = _parts(messages, ImagePart), _parts(messages, TextPart)
    needed = [task for name in modalities for task in NEEDED.get((name, bool(images), bool(texts)), ())]
    line = model.unlearned(*needed)
    if line and images and texts and "text" in modalities and not model.unlearned("captions"):
        messages = _keep(messages, lambda message, part: part is images[-1])
        line = f"only the last image is read, without the words beside it: {line}"
    return Readable(messages, [*warnings, *([line] if line else [])])


def warning_fields(*warnings: str | None) -> dict[str, list[str]]:
    """The field of an answer that holds its warnings, if there are some."""
    given = [warning for warning in warnings if warning is not None]
    return {"warnings": given} if given else {}


def _is_system(message: Message) -> bool:
    return message.role in SYSTEM


def _parts(messages: Sequence[Message], kind: type) -> list[TextPart | ImagePart]:
    return [part for message in messages for part in message.parts if isinstance(part, kind)]


def _keep(
    messages: Sequence[Message], chosen: Callable[[Message, TextPart | ImagePart], bool]
) -> list[Message]:
    """The messages with the chosen parts alone."""
    return [
        message.model_copy(
            update={"content": [part for part in message.parts if chosen(message, part)], "images": None}
        )
        for message in messages
    ]
