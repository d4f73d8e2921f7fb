"""An image as the model sees it, enlarged for people. Knows no page."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.data.files.images import load_image
from unitok.page.overlay import SIDE, enlarge
from unitok.pixels import as_rgb

ImageFile = Image.Image | str | Path | None


def model_view(model: UniTok, image: ImageFile) -> Image.Image:
    """Resize an image or its file to the size of the model's codes; exactly inverts `enlarged_view`.

    Raises:
        ValueError: there is no image, or it cannot be read.
    """
    return _fit(model.codec.image.fit, image, enlarged=model.codec.image.shape is not None)


def shown_view(model: UniTok, image: ImageFile) -> Image.Image:
    """Resize an image or its file to what the model is shown of it: its view, or, with vision, a larger one;
    exactly inverts `enlarged_shown_view`. Raises the errors of `model_view`."""
    return _fit(model.codec.fit, image, enlarged=model.codec.image.shape is not None)


def enlarged_view(model: UniTok, image: ImageFile) -> Image.Image:
    """Enlarge the model's view of an image for people, unless the model draws any size."""
    small = model_view(model, image)
    return small if model.codec.image.shape is None else enlarge(small)


def enlarged_shown_view(model: UniTok, image: ImageFile) -> Image.Image:
    """Enlarge what the model is shown of an image for people, unless the model draws any size."""
    small = shown_view(model, image)
    return small if model.codec.image.shape is None else enlarge(small)


def own_size(model: UniTok, image: ImageFile) -> Image.Image:
    """Read an image at its own size; of an enlarged view, the view. Raises the errors of `model_view`."""
    image = read_image(image)
    small = model_view(model, image)
    return small if enlarge(small).tobytes() == image.tobytes() else image


def paint_view(model: UniTok, image: ImageFile) -> Image.Image:
    """Scale an image for the editor, pale where the model does not see it. Errors as `model_view`."""
    image = own_size(model, image)
    left, top, right, bottom = map(round, model.codec.image.crop_edges(image))
    pale = Image.blend(image, Image.new("RGB", image.size, "white"), 0.7)
    pale.paste(image.crop((left, top, right, bottom)), (left, top))
    pale.thumbnail((SIDE, SIDE))
    return enlarge(pale)


def read_image(image: ImageFile) -> Image.Image:
    """Read an image or its file as RGB.

    Raises:
        ValueError: there is no image, or it cannot be read; the message has the file's name, not its folder.
    """
    if image is None:
        raise ValueError("Choose a picture first.")
    if isinstance(image, str | Path):
        return load_image(image, name=Path(image).name)
    return as_rgb(image)


def _fit(fit: Callable[[Image.Image], Image.Image], image: ImageFile, *, enlarged: bool) -> Image.Image:
    """Fit an image, or give back the one of which it may be an enlargement."""
    image = read_image(image)
    factors = (factor for factor in range(SIDE, 1, -1) if not (image.width % factor or image.height % factor))
    for factor in factors if enlarged else ():
        small = image.resize((image.width // factor, image.height // factor), Image.Resampling.BOX)
        if enlarge(small).tobytes() == image.tobytes() and fit(small).size == small.size:
            return small
    return fit(image)
