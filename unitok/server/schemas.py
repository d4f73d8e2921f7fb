"""Request schemas, by the names of OpenAI's API. Knows JSON and forms, no model.

Fields that only advise (quality, user, …) are passed over; fields without which an answer would be another
one (tools, logprobs, …) are refused. `guidance_scale`, `top_k` and `negative_prompt` are this project's own.
"""

import json
import re
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.datastructures import UploadFile as UploadedFile

from unitok.modalities.text import clean

MOST_COPIES = 10
MOST_PREVIEWS = 3
MOST_MESSAGES = 256
MOST_PARTS = 64
MOST_PICTURES = 16
"""Of one request: a small file may be a large picture."""
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Copies = Annotated[int, Field(ge=1, le=MOST_COPIES)]
Previews = Annotated[int, Field(ge=0, le=MOST_PREVIEWS)]
Format = Literal["png", "jpeg", "webp"]
Modality = Literal["text", "image"]
SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)
UNSUPPORTED = (
    "audio", "functions", "logit_bias", "logprobs", "prediction", "tools", "top_logprobs",
    "web_search_options",
)  # fmt: skip
PLAIN = {
    "response_format": ({"type": "text"},),
    "tool_choice": ("auto", "none"),
    "function_call": ("auto", "none"),
}
"""Fields of a chat that change nothing with these values; with another a client waits for another answer."""


class Sent(BaseModel):
    """A JSON object from outside; no number in it is infinite, and a null is a field that is not there."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value is not None}


class Settings(Sent):
    """How ids are drawn; what is absent is the model's own default."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    seed: Seed | None = None

    @property
    def sampling(self) -> dict[str, float | None]:
        """By the names of Sampling."""
        names = ("temperature", "top_p", "top_k", "guidance_scale")
        return {name: getattr(self, name) for name in names}


class Address(Sent):
    """Where a picture is: a data URI."""

    url: str


class TextPart(Sent):
    """A part of a message that is text."""

    type: Literal["text"]
    text: str


class PicturePart(Sent):
    """A part of a message that is a picture."""

    type: Literal["image_url"]
    image_url: Address


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


class Message(Sent):
    """What somebody said. `images` is where this server puts pictures of an answer, so it may come back."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(max_length=MOST_PARTS)] | None = None
    images: Annotated[list[PicturePart], Field(max_length=MOST_PARTS)] | None = None

    @property
    def parts(self) -> list[TextPart | PicturePart]:
        """Its parts in order; empty texts are none."""
        content = self.content or []
        told = [TextPart(type="text", text=content)] if isinstance(content, str) else content
        return [part for part in (*told, *(self.images or ())) if part.type != "text" or part.text]


class StreamOptions(Sent):
    """What a stream tells besides."""

    include_usage: bool = False


class ChatRequest(Settings):
    """POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    modalities: Annotated[list[Modality], Field(min_length=1, max_length=2)] = ["text"]
    n: Copies = 1
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=256)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=4)]
        | None
    ) = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, sent: Any) -> Any:
        wanted = [name for name in UNSUPPORTED if isinstance(sent, dict) and sent.get(name)]
        if wanted:
            raise ValueError(f"this server does not know {', '.join(wanted)}: leave it out")
        for name, plain in PLAIN.items():
            if isinstance(sent, dict) and sent.get(name) not in (None, *plain):
                known = " or ".join(json.dumps(value) for value in plain)
                raise ValueError(f"{name} must be {known} here, or left out")
        return sent

    @property
    def target(self) -> Modality | None:
        """The one modality to answer in; None where the model may choose."""
        return self.modalities[0] if len(set(self.modalities)) == 1 else None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts before which an answer ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def longest(self) -> int | None:
        """Most ids of a text."""
        return self.max_completion_tokens or self.max_tokens


class Pictures(Settings):
    """What requests for pictures share."""

    model: str | None = None
    prompt: Annotated[str, Field(min_length=1)]
    n: Copies = 1
    size: str | None = None
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Format = "png"
    stream: bool = False
    partial_images: Previews = 0

    @model_validator(mode="before")
    @classmethod
    def _opaque(cls, sent: Any) -> Any:
        if isinstance(sent, dict) and sent.get("background") == "transparent":
            raise ValueError("background must be auto or opaque: no picture of this server is transparent")
        return sent

    @field_validator("size")
    @classmethod
    def _sized(cls, size: str | None) -> str | None:
        if size not in (None, "auto") and not SIZE.fullmatch(size):
            raise ValueError(f"size is 'auto' or WIDTHxHEIGHT in pixels, like 64x48, not {clean(size):.40}")
        return size

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width) in pixels; None where the model chooses."""
        found = SIZE.fullmatch(self.size or "")
        return (int(found[2]), int(found[1])) if found else None


class DrawRequest(Pictures):
    """POST /v1/images/generations."""

    negative_prompt: str | None = None


class EditForm(Pictures):
    """POST /v1/images/edits: a form of fields and files, one `image` or several `image[]`."""

    image: UploadFile | None = None
    more: Annotated[list[UploadFile], Field(alias="image[]", max_length=MOST_PICTURES)] = []
    mask: UploadFile | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_negative(cls, sent: Any) -> Any:
        if isinstance(sent, dict) and sent.get("negative_prompt"):
            raise ValueError("an edit takes no negative_prompt: leave it out")
        return sent

    @property
    def files(self) -> list[UploadedFile]:
        """The pictures, in order."""
        return [*([self.image] if self.image else []), *self.more]
