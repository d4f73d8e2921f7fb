"""Builds a codec from an image tokenizer's folder and a tokenizer.json. Knows no batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unitok.data.faults import Fault, by_reason, summary
from unitok.data.source import Source, read
from unitok.modalities.image import ImageModality
from unitok.modalities.location_bins import LOCATIONS
from unitok.modalities.text import TextModality, train_bpe
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Positions

MOST_CAPTIONS = 10_000
"""Documents from which a text tokenizer is trained; more change little and cost time."""


def build_codec(
    image_tokenizer: str | Path,
    text_tokenizer: str | Path,
    *,
    positions: Positions = "grid",
    image_shape: Sequence[int] | None = None,
    locations: Sequence[str] = (),
) -> Codec:
    """The codec of text and images, and perhaps of boxes and points.

    Args:
        image_tokenizer: folder of a trained image tokenizer.
        text_tokenizer: a tokenizer.json.
        positions: "grid" or "sequential", see Cursor.
        image_shape: (rows, columns) in cells that images are brought to; None lets each keep its size.
        locations: "box", "point" or both, in the order of their ids.

    Raises:
        FileNotFoundError: the folder or the file is missing.
        ValueError: one of them is damaged or something else, or a location is unknown.
    """
    if image_shape is not None and (len(image_shape) != 2 or min(image_shape) < 1):
        raise ValueError(f"image_shape is [rows, columns] in cells, not {list(image_shape)}")
    unknown = [name for name in locations if name not in LOCATIONS]
    if unknown or len(set(locations)) != len(locations):
        raise ValueError(f"locations are some of {', '.join(LOCATIONS)}, each once, not {list(locations)}")
    if not Path(text_tokenizer).is_file():
        raise FileNotFoundError(f"{text_tokenizer}: no text tokenizer here")
    text = TextModality.from_file(text_tokenizer)
    shape = None if image_shape is None else (image_shape[0], image_shape[1])
    image = ImageModality(ImageTokenizer.from_pretrained(image_tokenizer), shape=shape)
    return Codec([text, image, *(LOCATIONS[name]() for name in locations)], positions=positions)


def train_text_tokenizer(source: Source, path: str | Path, *, size: int) -> None:
    """Write a tokenizer.json of at most `size` codes, trained on a source's texts; complete or absent."""
    TextModality(train_bpe(texts(source, most=MOST_CAPTIONS), size=size)).save(path)


def texts(source: Source, *, most: int) -> Iterator[str]:
    """Texts of at most `most` documents, evenly spread over the source; faulty ones are passed over.

    Raises:
        ValueError: none of these documents can be read.
    """
    faults = list(source.faults)
    indices = range(0, len(source), max(1, -(-len(source) // most)))
    for index in indices:
        document = read(source, index)
        if isinstance(document, Fault):
            faults.append(document)
        else:
            yield from (segment.content for segment in document if segment.modality == "text")
    if len(faults) - len(source.faults) == len(indices):
        raise ValueError(
            f"none of {len(faults)} documents could be read: {summary(by_reason(faults))}"
            + (f". The first is {faults[0]}" if faults else "")
        )
