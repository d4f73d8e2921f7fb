"""Request schemas of the Responses API: items and tools become messages and modalities. Knows no model.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from unitok.server.schemas import (
    MAX_MESSAGES,
    MAX_MODALITIES,
    MAX_PARTS,
    Format,
    ImagePart,
    ImageUrl,
    Message,
    Previews,
    RequestModel,
    SamplingFields,
    SizeField,
    TextPart,
    refuse_unsupported,
)

IMAGE_TOOL, PLAIN = "image_generation", {"type": "text"}
ALLOWS: Mapping[str, tuple] = {
    **dict.fromkeys(("background", "conversation", "previous_response_id", "prompt", "top_logprobs"), ()),
}
"""Fields that would change the answer; nothing is stored here."""


class TextItem(RequestModel):
    """A text part of a message, of the client or of an earlier answer."""

    type: Literal["input_text", "output_text"]
    text: str

    @property
    def part(self) -> TextPart:
        """The part as a chat has it."""
        return TextPart(type="text", text=self.text)


class ImageItem(RequestModel):
    """An image part of a message, as a data URI."""

    type: Literal["input_image"]
    image_url: str

    @property
    def part(self) -> ImagePart:
        """The part as a chat has it."""
        return ImagePart(type="image_url", image_url=ImageUrl(url=self.image_url))


class MessageItem(RequestModel):
    """A message; its `type` may be absent."""

    type: Literal["message"]
    role: Literal["system", "developer", "user", "assistant"]
    content: (
        str
        | Annotated[
            list[Annotated[TextItem | ImageItem, Field(discriminator="type")]], Field(max_length=MAX_PARTS)
        ]
    )

    @property
    def message(self) -> Message:
        """The message as a chat has it."""
        content = self.content
        return Message(
            role=self.role, content=content if isinstance(content, str) else [item.part for item in content]
        )


class ImageCall(RequestModel):
    """An image of an earlier answer, in base64."""

    type: Literal["image_generation_call"]
    result: str

    @property
    def message(self) -> Message:
        """The image as a message of the assistant."""
        url = ImageUrl(url=f"data:image/png;base64,{self.result}")
        return Message(role="assistant", content=[ImagePart(type="image_url", image_url=url)])


Item = Annotated[MessageItem | ImageCall, Field(discriminator="type")]


class ImageTool(SizeField):
    """The tool that allows images in the answer; quality and the like are hints."""

    type: Literal["image_generation"]
    output_format: Format = "png"
    partial_images: Previews = 0


class ToolChoice(RequestModel):
    """The choice of the only tool."""

    type: Literal["image_generation"]


class ResponseRequest(SamplingFields):
    """POST /v1/responses."""

    model: str
    input: str | Annotated[list[Item], Field(min_length=1, max_length=MAX_MESSAGES)]
    instructions: str | None = None
    modalities: Annotated[list[str], Field(min_length=1, max_length=MAX_MODALITIES)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    tools: Annotated[list[ImageTool], Field(max_length=1, default_factory=list)]
    tool_choice: Literal["auto", "none", "required"] | ToolChoice = "auto"
    stream: bool = False

    @model_validator(mode="before")
    @classmethod
    def _refuse_unsupported(cls, data: Any) -> Any:
        fields = data if isinstance(data, Mapping) else {}
        tools, text, allowed = fields.get("tools"), fields.get("text"), dict(ALLOWS)
        listed = tools if isinstance(tools, list) else []
        kinds = [tool.get("type") for tool in listed if isinstance(tool, Mapping)]
        if any(kind not in (None, IMAGE_TOOL) for kind in kinds):
            allowed["tools"] = ([{"type": IMAGE_TOOL}],)
        if isinstance(text, Mapping) and text.get("format") not in (None, PLAIN):
            allowed["text"] = ({"format": PLAIN},)
        return refuse_unsupported(data, allowed)

    @field_validator("input", mode="before")
    @classmethod
    def _name_messages(cls, items: Any) -> Any:
        """Give items without a type that of a message, as OpenAI does."""
        if not isinstance(items, list):
            return items
        return [{"type": "message", **item} if isinstance(item, dict) else item for item in items]

    @property
    def messages(self) -> list[Message]:
        """The instructions, if there are some, and the input: a message per item."""
        system = [Message(role="system", content=self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*system, Message(role="user", content=self.input)]
        return [*system, *(item.message for item in self.input)]

    @property
    def tool(self) -> ImageTool:
        """The tool's settings, or its defaults where images are asked for without it."""
        return self.tools[0] if self.tools else ImageTool(type=IMAGE_TOOL)

    @property
    def asked(self) -> list[str]:
        """The modalities of the answer: `modalities`, or what the tool allows."""
        if self.modalities is not None:
            return self.modalities
        if not self.tools or self.tool_choice == "none":
            return ["text"]
        return ["text", "image"] if self.tool_choice == "auto" else ["image"]

    @property
    def target(self) -> str | None:
        """The only modality of the answer; None if the model may choose."""
        return self.asked[0] if len(set(self.asked)) == 1 else None
