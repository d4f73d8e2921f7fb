"""Request schemas, by the names of OpenAI's API. Knows JSON and forms, no model.

Fields that are only hints (quality, user, …) are ignored; those that would change the answer (tools,
logprobs, …) are refused. `guidance_scale`, `top_k` and `negative_prompt` are extensions of this project.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import UploadFile as StarletteUploadFile

from unitok.modalities.text import clean
from unitok.server.http.body_errors import describe

MAX_COPIES = 10
MAX_PREVIEWS = 3
MAX_MESSAGES = 256
MAX_PARTS = 64
MAX_MODALITIES = 16
MAX_IMAGES = 16
"""In one request: a small file may be a large image."""
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Copies = Annotated[int, Field(ge=1, le=MAX_COPIES)]
Previews = Annotated[int, Field(ge=0, le=MAX_PREVIEWS)]
Format = Literal["png", "jpeg", "webp"]
SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)
CHAT_ALLOWS: Mapping[str, tuple] = {
    **dict.fromkeys(
        ("audio", "functions", "logit_bias", "logprobs", "prediction", "tools", "top_logprobs"), ()
    ),
    "web_search_options": (),
    "response_format": ({"type": "text"},),
    "tool_choice": ("auto", "none"),
    "function_call": ("auto", "none"),
}
"""Fields of a chat that would change the answer, with the values that change nothing."""
IMAGE_ALLOWS: Mapping[str, tuple] = {"background": ("auto", "opaque")}
EDIT_ALLOWS: Mapping[str, tuple] = {"negative_prompt": ()}
UNSUPPORTED = "unsupported_parameter"


def refuse_unsupported(data: Any, allowed: Mapping[str, tuple]) -> Any:
    """Return a body in which no field has a value that this server does not support; empty ones are absent.

    Raises PydanticCustomError for the first that has.
    """
    for name, values in allowed.items():
        value = data.get(name) if isinstance(data, Mapping) else None
        if value and value not in values:
            known = " or ".join([*map(json.dumps, values), "absent"])
            message = f"{name} must be {known} on this server, got {describe(value)}"
            raise PydanticCustomError(UNSUPPORTED, "{message}", {"name": name, "message": message})
    return data


class RequestModel(BaseModel):
    """A JSON object of a request; its numbers are finite, and null means that a field is absent."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None}


class SamplingFields(RequestModel):
    """Sampling settings; the model's default for those that are absent."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    seed: Seed | None = None

    @property
    def sampling(self) -> dict[str, float | None]:
        """The settings by their names in Sampling."""
        names = ("temperature", "top_p", "top_k", "guidance_scale")
        return {name: getattr(self, name) for name in names}


class ImageUrl(RequestModel):
    """An image as a data URI."""

    url: str


class TextPart(RequestModel):
    """A text part of a message."""

    type: Literal["text"]
    text: str


class ImagePart(RequestModel):
    """An image part of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Message(RequestModel):
    """A message. `images` is where this server puts the images of an answer, which a client may send back."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(max_length=MAX_PARTS)] | None = None
    images: Annotated[list[ImagePart], Field(max_length=MAX_PARTS)] | None = None

    @property
    def parts(self) -> list[TextPart | ImagePart]:
        """Its parts in order, without empty texts; images that are among them do not count twice."""
        content = self.content or []
        parts = [TextPart(type="text", text=content)] if isinstance(content, str) else content
        beside = [] if any(part.type == "image_url" for part in parts) else self.images or []
        return [part for part in (*parts, *beside) if part.type != "text" or part.text]


class StreamOptions(RequestModel):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(SamplingFields):
    """POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    modalities: Annotated[list[str], Field(min_length=1, max_length=MAX_MODALITIES)] = ["text"]
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
    def _refuse_unsupported(cls, data: Any) -> Any:
        return refuse_unsupported(data, CHAT_ALLOWS)

    @property
    def target(self) -> str | None:
        """The only modality of the answer; None if the model may choose."""
        return self.modalities[0] if len(set(self.modalities)) == 1 else None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts before which an answer ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def max_new_tokens(self) -> int | None:
        """Most ids of a text."""
        return self.max_completion_tokens or self.max_tokens


class SizeField(RequestModel):
    """The size of an image, in pixels."""

    size: str | None = None

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: str | None) -> str | None:
        if size not in (None, "auto") and not SIZE.fullmatch(size):
            raise ValueError(
                f"size must be 'auto' or WIDTHxHEIGHT in pixels, like 64x48, got {clean(size):.40}"
            )
        return size

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width) in pixels; None lets the model choose."""
        match = SIZE.fullmatch(self.size or "")
        return (int(match[2]), int(match[1])) if match else None


class ImageRequest(SamplingFields, SizeField):
    """Fields that both image routes share."""

    model: str | None = None
    prompt: Annotated[str, Field(min_length=1)]
    n: Copies = 1
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Format = "png"
    stream: bool = False
    partial_images: Previews = 0

    @model_validator(mode="before")
    @classmethod
    def _refuse_unsupported(cls, data: Any) -> Any:
        return refuse_unsupported(data, IMAGE_ALLOWS)


class DrawRequest(ImageRequest):
    """POST /v1/images/generations."""

    negative_prompt: str | None = None


class EditForm(ImageRequest):
    """POST /v1/images/edits: a form of fields and files, one `image` or several `image[]`."""

    image: UploadFile | None = None
    more: Annotated[list[UploadFile], Field(alias="image[]", max_length=MAX_IMAGES)] = []
    mask: UploadFile | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_negative_prompt(cls, data: Any) -> Any:
        return refuse_unsupported(data, EDIT_ALLOWS)

    @property
    def files(self) -> list[StarletteUploadFile]:
        """The uploaded images, in order."""
        return [*([self.image] if self.image else []), *self.more]
