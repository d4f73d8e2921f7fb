"""An image as the model sees it, enlarged for people. Knows no page."""

from pathlib import Path

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.data.files.images import load_image
from unitok.page.overlay import enlarged
from unitok.pixels import as_rgb


def as_seen(model: UniTok, picture: Image.Image | str | Path | None) -> Image.Image:
    """What the model sees of a picture or of its file, in its own pixels; exact for what `shown` made.

    Raises:
        ValueError: there is no picture, or it cannot be read.
    """
    if picture is None:
        raise ValueError("Choose a picture first.")
    picture = load_image(picture) if isinstance(picture, str | Path) else as_rgb(picture)
    image = model.codec.modalities["image"]
    if image.shape is None:
        return image.fit(picture)
    small = picture.resize([n * image.tokenizer.cell for n in image.shape[::-1]], Image.Resampling.BOX)
    return small if enlarged(small).tobytes() == picture.tobytes() else image.fit(picture)


def shown(model: UniTok, picture: Image.Image | str | Path) -> Image.Image:
    """The same at a size for people; pictures of models that draw any size keep theirs."""
    small = as_seen(model, picture)
    return small if model.codec.modalities["image"].shape is None else enlarged(small)
