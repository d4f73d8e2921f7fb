"""Builds a codec from an image tokenizer's folder and a tokenizer.json. Knows no batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unitok.data.faults import Fault, count_reasons, summarize
from unitok.data.source import Source, read
from unitok.modalities.base import Modality
from unitok.modalities.image import ImageModality
from unitok.modalities.kinds import check_registered
from unitok.modalities.location_bins import LOCATIONS
from unitok.modalities.text import TextModality, train_bpe
from unitok.modalities.vision import VisionConfig, open_vision
from unitok.modalities.vision_folder import read_vision_folder
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Positions

MAX_DOCUMENTS = 10_000
"""Most documents from which a text tokenizer is trained; more change little and cost time."""


@dataclass(frozen=True)
class CodecConfig:
    """The tokenizers of documents, and how their images and positions become ids.

    Args:
        image_tokenizer: folder of the trained image tokenizer.
        text_tokenizer: a tokenizer.json. If absent, that of the training store; without a store, one is
            trained on the training texts and saved in the run's folder.
        text_size: max vocabulary of a text tokenizer trained here.
        image_shape: (rows, columns) in cells to which images are resized; if absent each keeps its size.
        locations: "box", "point" or both, if documents hold them.
        modalities: others that documents hold, such as your own; their ids come after all others.
        positions: "grid" or "sequential", see Cursor.
        vision: how the model sees the images that it is shown, or a vision folder; None shows it their codes.
    """

    image_tokenizer: str | None = None
    text_tokenizer: str | None = None
    text_size: int = 1024
    image_shape: tuple[int, int] | None = None
    locations: Sequence[str] = ()
    modalities: Sequence[Modality] = ()
    positions: Positions = "grid"
    vision: VisionConfig | str | None = None

    def build(self, text_tokenizer: Path) -> Codec:
        """Builds the codec with this tokenizer.json, which may be new. Raises the errors of build_codec."""
        return build_codec(
            self.image_tokenizer,
            text_tokenizer,
            positions=self.positions,
            image_shape=self.image_shape,
            locations=self.locations,
            modalities=self.modalities,
            vision=self.vision,
        )


def build_codec(
    image_tokenizer: str | Path,
    text_tokenizer: str | Path,
    *,
    positions: Positions = "grid",
    image_shape: Sequence[int] | None = None,
    locations: Sequence[str] = (),
    modalities: Sequence[Modality] = (),
    vision: VisionConfig | str | None = None,
) -> Codec:
    """Builds a codec for text and images, and optionally for boxes, points and other modalities.

    Args:
        image_tokenizer: folder of a trained image tokenizer.
        text_tokenizer: a tokenizer.json.
        positions: "grid" or "sequential", see Cursor.
        image_shape: (rows, columns) in cells to which images are resized; None keeps each image's size.
        locations: "box", "point" or both, in the order of their ids.
        modalities: others, whose ids come after all those.
        vision: how shown images are seen, or a vision folder; None for their codes.

    Raises:
        FileNotFoundError: the folder or the file is missing.
        ValueError: one of them is corrupt or something else, a location is unknown, or a modality has a name
            that another has, or is not registered.
    """
    if image_shape is not None and (len(image_shape) != 2 or min(image_shape) < 1):
        raise ValueError(f"image_shape must be [rows, columns] in cells, got {list(image_shape)}")
    unknown = [name for name in locations if name not in LOCATIONS]
    if unknown or len(set(locations)) != len(locations):
        raise ValueError(
            f"locations must be some of {', '.join(LOCATIONS)}, each once, got {list(locations)}"
        )
    for modality in modalities:
        check_registered(modality)
    if not Path(text_tokenizer).is_file():
        raise FileNotFoundError(f"{text_tokenizer}: text tokenizer not found")
    text = TextModality.from_file(text_tokenizer)
    shape = None if image_shape is None else (image_shape[0], image_shape[1])
    image = ImageModality(ImageTokenizer.from_pretrained(image_tokenizer), shape=shape)
    places = [LOCATIONS[name]() for name in locations]
    if isinstance(vision, str):
        vision = read_vision_folder(vision)
    seen = None if vision is None else open_vision(vision, [image])
    return Codec([text, image, *places, *modalities], positions=positions, vision=seen)


def train_text_tokenizer(source: Source, path: str | Path, *, size: int) -> None:
    """Trains a tokenizer.json of at most `size` codes on a source's texts, and writes it atomically."""
    TextModality(train_bpe(iterate_texts(source, limit=MAX_DOCUMENTS), size=size)).to_file(path)


def iterate_texts(source: Source, *, limit: int) -> Iterator[str]:
    """Yields the texts of at most `limit` documents, evenly spread over the source; corrupt ones are skipped.

    Raises:
        ValueError: none of these documents can be read.
    """
    faults = list(source.faults)
    indices = range(0, len(source), max(1, -(-len(source) // limit)))
    for index in indices:
        document = read(source, index)
        if isinstance(document, Fault):
            faults.append(document)
        else:
            yield from (segment.content for segment in document if segment.modality == "text")
    if len(faults) - len(source.faults) == len(indices):
        raise ValueError(
            f"none of {len(faults)} documents could be read: {summarize(count_reasons(faults))}"
            + (f". The first is {faults[0]}" if faults else "")
        )
