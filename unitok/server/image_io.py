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
from unitok.modalities.image import ImageModality
from unitok.server.http.errors import invalid
from unitok.server.schemas import MOST_PICTURES, Format, Message

MOST_PIXELS = 16 * 2**20
DATA_URI = re.compile(r"\s*data:[^,]{0,400}?;\s*base64\s*,", re.ASCII | re.IGNORECASE)
SPACE = re.compile(r"[\t\n\f\r ]+")
URL_SAFE = str.maketrans("-_", "+/")


def picture_of(url: str, modality: ImageModality, *, param: str) -> Image.Image:
    """The picture of a data URI at the model's size.

    Raises:
        ApiError: another address (nothing is fetched), no base64, or no picture.
    """
    head = DATA_URI.match(url[:512])
    if not head:
        raise invalid(
            f"{url[:40]!r}: pictures are sent as data:image/png;base64,…; addresses are not fetched",
            param=param,
        )
    return read(decoded(url[head.end() :], param=param), modality, param=param)


def decoded(text: str, *, param: str) -> bytes:
    """What base64 says, as forgiving as browsers are: white space, padding that is left out, the letters that
    are safe in addresses, and letters that addresses write as %2B.

    Raises:
        ApiError: it is no base64.
    """
    letters = SPACE.sub("", unquote(text) if "%" in text else text).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        wrong = re.search(r"[^A-Za-z0-9+/]", letters)
        why = f"it has the letter {wrong[0]!r}" if wrong else f"it ends after {len(letters)} letters"
        raise invalid(f"the picture is no base64: {why}", param=param) from error


def read(content: bytes, modality: ImageModality, *, param: str) -> Image.Image:
    """A picture file's picture at the model's size. Raises ApiError where it is none."""
    return modality.fit(opened(content, param=param))


def opened(content: bytes, *, param: str) -> Image.Image:
    """A picture file's picture. Raises ApiError where it is none."""
    return _opened(content, load_image, param)


def mask_of(content: bytes, picture: Image.Image, size: tuple[int, int], *, param: str) -> Image.Image:
    """A mask file's mask at `size` (width, height) as its picture is: white is drawn anew.

    Raises:
        ApiError: it is no picture, not of the picture's size, or leaves nothing to draw.
    """
    try:
        mask = image_masks.fit_mask(_opened(content, load_mask, param), picture, size)
    except ValueError as error:
        raise invalid(str(error), param=param) from error
    if not mask.getbbox():
        raise invalid("nothing of the mask is transparent (or white): nothing is to be drawn", param=param)
    return mask


def _opened(content: bytes, load: Callable[..., Image.Image], param: str) -> Image.Image:
    try:
        return load(content, most_pixels=MOST_PIXELS)
    except ImageError as error:
        raise invalid(str(error), param=param) from error


def pictures_sent(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Where in a conversation pictures are, and what is sent as such, in order.

    Raises:
        ApiError: there are too many of them, or nothing is said.
    """
    found = [
        (f"messages.{number}.content", part.image_url.url)
        for number, message in enumerate(messages)
        for part in message.parts
        if part.type == "image_url"
    ]
    if len(found) > MOST_PICTURES:
        raise invalid(f"{len(found)} pictures are sent, the most is {MOST_PICTURES}", param="messages")
    if not any(message.parts for message in messages):
        raise invalid("nothing is said: every message is empty", param="messages")
    return found


def document(
    messages: Sequence[Message], template: ChatTemplate, pictures: Sequence[Image.Image]
) -> Document:
    """A conversation's messages, with their pictures in order, up to where the model answers."""
    rest = iter(pictures)
    return template.prompt([_turn(message, rest) for message in messages])


def _turn(message: Message, pictures: Iterator[Image.Image]) -> Turn:
    """What a message says, with the next pictures; OpenAI's developer is the system."""
    said = tuple(
        Segment("text", part.text) if part.type == "text" else Segment("image", next(pictures))
        for part in message.parts
    )
    return Turn("system" if message.role == "developer" else message.role, said)


def check_length(document: Document, model: UniTok) -> None:
    """Make no more codes of a document's texts than it takes to know that they are too many.

    Raises:
        ValueError: they are.
    """
    most, text = model.model.config.max_length, model.codec.modalities["text"]
    texts, count = [segment.content for segment in document if segment.modality == "text"], 0
    if sum(map(len, texts)) <= most:  # an id or more for each letter would have to be many
        return
    for content in texts:
        count += len(text.encode(content)[0])
        if count > most:
            raise ValueError(
                f"the prompt is too long: its texts have {count} ids or more; this model holds {most}"
            )


def base64_of(picture: Image.Image, format: Format = "png") -> str:
    """A picture as the base64 of a file."""
    file = BytesIO()
    picture.save(file, format)
    return base64.b64encode(file.getvalue()).decode()
