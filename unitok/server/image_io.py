"""Images from clients and back: data URIs, uploads, base64. Fetches nothing."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from urllib.parse import unquote

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate, Turn
from unitok.data.files.images import ImageError, load_image, load_mask
from unitok.document import Document, Segment
from unitok.modalities import image_masks
from unitok.server.http.errors import invalid
from unitok.server.schemas import MAX_IMAGES, Format, Message
from unitok.tokens.codec import Codec

MAX_PIXELS = 16 * 2**20
DATA_URI = re.compile(r"\s*data:[^,]{0,400}?;\s*base64\s*,", re.ASCII | re.IGNORECASE)
SPACE = re.compile(r"[\t\n\f\r ]+")
URL_SAFE = str.maketrans("-_", "+/")


def read_data_uri(url: str, codec: Codec, *, param: str) -> Image.Image:
    """Read the image of a data URI and resize it to the model's size.

    Raises:
        ApiError: another kind of URL (nothing is fetched), invalid base64, or not an image.
    """
    head = DATA_URI.match(url[:512])
    if not head:
        raise invalid(
            f"an image must be a data URI like data:image/png;base64,… (no URL is fetched), got {url[:40]!r}",
            param=param,
        )
    return read_fitted(decode_base64(url[head.end() :], param=param), codec, param=param)


def decode_base64(text: str, *, param: str) -> bytes:
    """Decode base64 as leniently as browsers do.

    Whitespace, missing padding, the URL-safe alphabet and percent-encoding are accepted.

    Raises:
        ApiError: it is not base64.
    """
    digits = SPACE.sub("", unquote(text) if "%" in text else text).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        wrong = re.search(r"[^A-Za-z0-9+/]", digits)
        reason = f"it has the character {wrong[0]!r}" if wrong else f"it ends after {len(digits)} characters"
        raise invalid(f"the image is not valid base64: {reason}", param=param) from error


def read_fitted(content: bytes, codec: Codec, *, param: str) -> Image.Image:
    """Read an image file and resize it to the model's size. Raises ApiError if it is not an image."""
    return codec.fit(read_image(content, param=param))


def read_image(content: bytes, *, param: str) -> Image.Image:
    """Read an image file. Raises ApiError if it is not an image."""
    return _read(content, load_image, param)


def read_mask(content: bytes, image: Image.Image, size: tuple[int, int], *, param: str) -> Image.Image:
    """Read the mask of an image and resize it to `size` (width, height), as the image is; white is redrawn.

    Raises:
        ApiError: it is not an image, not of the image's size, or masks nothing.
    """
    try:
        mask = image_masks.fit_mask(_read(content, load_mask, param), image, size)
    except ValueError as error:
        raise invalid(str(error), param=param) from error
    if not mask.getbbox():
        raise invalid(
            "the mask must have transparent (or white) pixels, which are redrawn, got none", param=param
        )
    return mask


def _read(content: bytes, load: Callable[..., Image.Image], param: str) -> Image.Image:
    try:
        return load(content, max_pixels=MAX_PIXELS)
    except ImageError as error:
        raise invalid(str(error), param=param) from error


def image_urls(messages: Sequence[Message], *, name: str, start: int = 0) -> list[tuple[str, str]]:
    """List the images of messages in order: the field of each, and its URL.

    The messages are the field `name` of a body; `start` is the first one's number there.

    Raises:
        ApiError: there are too many of them, or all messages are empty.
    """
    urls = [
        (f"{name}.{number}.content", part.image_url.url)
        for number, message in enumerate(messages, start)
        for part in message.parts
        if part.type == "image_url"
    ]
    if len(urls) > MAX_IMAGES:
        raise invalid(f"{name} must have at most {MAX_IMAGES} images, got {len(urls)}", param=name)
    if not any(message.parts for message in messages):
        raise invalid(f"{name} must have some content, got only empty messages", param=name)
    return urls


def build_document(
    messages: Sequence[Message], template: ChatTemplate, images: Sequence[Image.Image]
) -> Document:
    """Build the prompt of a conversation, whose images are given in order."""
    remaining = iter(images)
    return template.prompt([_turn(message, remaining) for message in messages])


def _turn(message: Message, images: Iterator[Image.Image]) -> Turn:
    """Convert a message to a turn, with the next images; OpenAI's developer is the system."""
    segments = tuple(
        Segment("text", part.text) if part.type == "text" else Segment("image", next(images))
        for part in message.parts
    )
    return Turn("system" if message.role == "developer" else message.role, segments)


def check_length(document: Document, model: UniTok) -> None:
    """Check the length of a document's texts, encoding no more of them than it takes.

    Raises:
        ValueError: they are longer than the model's context.
    """
    max_length, text = model.model.sizes.max_length, model.codec.modalities["text"]
    texts, count = [segment.content for segment in document if segment.modality == "text"], 0
    if sum(map(len, texts)) <= max_length:  # longer only if characters took several ids each
        return
    for content in texts:
        count += len(text.encode(content)[0])
        if count > max_length:
            raise ValueError(
                f"the prompt is too long: its texts have {count} ids or more; "
                f"the model's max_length is {max_length}"
            )


def encode_base64(image: Image.Image, format: Format = "png") -> str:
    """Encode an image as a file in base64."""
    file = BytesIO()
    image.save(file, format)
    return base64.b64encode(file.getvalue()).decode()
