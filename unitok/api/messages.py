"""Messages, as `apply_chat_template` of transformers takes them, and prompts of any kind. Knows no model."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from PIL import Image

from unitok.api.arguments import ImageLike, as_documents, as_image, as_list, describe
from unitok.chat_template import ChatTemplate, Role, Turn
from unitok.data.files.images import load_image
from unitok.document import Codes, Document, Segment

Message = Mapping[str, Any]
Prompt = str | Sequence[Message] | Document
"""A text, a conversation, or a document."""
SOURCES = ("image", "path", "url", "base64", "image_url")
"""Keys of a message's part under which its image may be."""


def as_prompts(value: Any, template: ChatTemplate, name: str = "documents") -> list[Document]:
    """Convert one text or conversation, or several texts, conversations and documents, to documents.

    Raises:
        ValueError: it is anything else, or a message has another format; see `as_turns`.
    """
    if isinstance(value, Mapping):
        raise ValueError(f"{name} must be texts, messages or documents, got a dict: no processor comes first")
    prompts = [value] if isinstance(value, str) else as_list(value, name, of="documents, texts or messages")
    if prompts and isinstance(prompts[0], Mapping):
        prompts = [prompts]
    return [as_prompt(prompt, template, name) for prompt in prompts]


def as_prompt(value: Any, template: ChatTemplate, name: str = "documents") -> Document:
    """Convert one text, conversation or document to a document; errors are those of `as_prompts`."""
    if isinstance(value, str):
        return (Segment("text", value),)
    if is_conversation(value):
        return template.prompt(as_turns(value))
    return as_documents([value], name)[0]


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages."""
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def as_turns(messages: Iterable[Message], images: Iterable[ImageLike] = ()) -> list[Turn]:
    """Convert messages to turns.

    Args:
        messages: each {"role": …, "content": text or parts}, where a part is {"type": "text", "text": …}, or
            {"type": "image", …} with an image, a path, a data URI or base64 under one of SOURCES.
        images: the images of those parts that have none, in order.

    Raises:
        ValueError: a message or a part has another format, or there are more or fewer images.
    """
    remaining = iter(list(images))
    turns = [_turn(message, remaining) for message in messages]
    if more := len(list(remaining)):
        raise ValueError(f"messages must have a part {{'type': 'image'}} for each image, {more} have none")
    return turns


def _turn(message: Message, images: Iterator[ImageLike]) -> Turn:
    if not isinstance(message, Mapping):
        raise ValueError(f"a message must be a dict of role and content, got {describe(message)}")
    role, content = message.get("role", "user"), message.get("content")
    if role not in get_args(Role):
        raise ValueError(f"a message's role must be one of {', '.join(get_args(Role))}, got {role!r}")
    if isinstance(content, str):
        return Turn(role, (Segment("text", content),))
    parts = [] if content is None else as_list(content, "a message's content", of="parts")
    return Turn(role, tuple(_part(part, images) for part in parts))


def _part(part: Message, images: Iterator[ImageLike]) -> Segment:
    if not isinstance(part, Mapping):
        raise ValueError(f"a message's part must be a dict with a type, got {describe(part)}")
    if part.get("type") == "text":
        return Segment("text", part.get("text"))
    if part.get("type") not in ("image", "image_url"):
        raise ValueError(f"a message part's type must be text or image, got {part.get('type')!r}")
    key = next((key for key in SOURCES if part.get(key) is not None), None)
    source = next(images, None) if key is None else part[key]
    if source is None:
        raise ValueError("messages must have as many parts {'type': 'image'} as there are images, got more")
    if isinstance(source, Mapping):
        source = source.get("url")
    return Segment("image", _decode(source) if key == "base64" or _is_data(source) else as_image(source))


def _is_data(source: Any) -> bool:
    return isinstance(source, str) and source.startswith("data:")


def _decode(text: str) -> Image.Image:
    """The image of a data URI or of plain base64."""
    try:
        content = base64.b64decode(text.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"an image must be base64, got {text:.40}…: {error}") from error
    return load_image(content, name="an image in base64")


def assistant(segments: Sequence[Segment | Codes]) -> dict[str, Any]:
    """The message of an answer: a text, or parts if there is anything else in it."""
    parts = [{"type": segment.modality, segment.modality: segment.content} for segment in segments]
    if all(part["type"] == "text" for part in parts):
        return {"role": "assistant", "content": "".join(part["text"] for part in parts)}
    return {"role": "assistant", "content": parts}
