"""An image as the model sees it, enlarged for people. Knows no page."""

from pathlib import Path

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.data.files.images import load_image
from unitok.page.overlay import enlarge
from unitok.pixels import as_rgb


def model_view(model: UniTok, image: Image.Image | str | Path | None) -> Image.Image:
    """Resize an image or its file to the model's size; exactly inverts `enlarged_view`.

    Raises:
        ValueError: there is no image, or it cannot be read.
    """
    if image is None:
        raise ValueError("Choose a picture first.")
    image = load_image(image) if isinstance(image, str | Path) else as_rgb(image)
    modality = model.codec.image
    if modality.shape is None:
        return modality.fit(image)
    small = image.resize([n * modality.tokenizer.cell for n in modality.shape[::-1]], Image.Resampling.BOX)
    return small if enlarge(small).tobytes() == image.tobytes() else modality.fit(image)


def shown_view(model: UniTok, image: Image.Image | str | Path | None) -> Image.Image:
    """An image as the model is shown it: its view, or, with vision, a larger one."""
    view = model_view(model, image)
    if model.codec.vision is None:
        return view
    return model.codec.fit(load_image(image) if isinstance(image, str | Path) else image)


def enlarged_view(model: UniTok, image: Image.Image | str | Path) -> Image.Image:
    """Enlarge the model's view of an image for people, unless the model draws any size."""
    small = model_view(model, image)
    return small if model.codec.image.shape is None else enlarge(small)
