"""Checks the arguments of public calls: numbers, texts, images, documents."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import torch
from PIL import Image

from unitok.data.files.images import load_image, load_mask
from unitok.document import Codes, Document, Segment

IntLike = SupportsIndex
"""An int, or an integer of numpy or torch."""
FloatLike = SupportsFloat
"""An int or a float, or a number of numpy or torch."""
Texts = str | Iterable[str]
ImageLike = Image.Image | str | Path | np.ndarray | torch.Tensor
"""A PIL image, a path, an array [h, w] or [h, w, 3 or 4], or a tensor [3, h, w]; floats are in 0..1."""
Images = ImageLike | Iterable[ImageLike]
CHANNELS = (1, 3, 4)


def as_int(value: IntLike, name: str, *, minimum: int | None = None) -> int:
    """Convert an integer of any library to an int.

    Raises:
        ValueError: it is not an integer, or is less than `minimum`.
    """
    try:
        number = None if _is_bool(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"{name} must be an integer, got {describe(value)}")
    if minimum is not None and number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def as_float(value: FloatLike, name: str) -> float:
    """Convert a number of any library to a float; an int stays one. Raises ValueError for anything else."""
    try:
        number = None if _is_bool(value) or isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = None
    if number is None:
        raise ValueError(f"{name} must be a number, got {describe(value)}")
    return value if isinstance(value, int) else number


def as_list(value: Iterable, name: str, *, of: str) -> list:
    """Convert any iterable except a string to a list.

    Args:
        value: the iterable.
        name: its name in error messages.
        of: its items in error messages.
    """
    if isinstance(value, str | bytes) or not _is_iterable(value):
        raise ValueError(f"{name} must be a list of {of}, got {describe(value)}")
    return list(value)


def as_texts(value: Texts, name: str) -> list[str]:
    """Convert one text or several to a list. Raises ValueError for anything else."""
    return as_text_list([value] if isinstance(value, str) else value, name)


def as_text_list(value: Iterable[str], name: str) -> list[str]:
    """Convert several texts to a list. Raises ValueError for anything else, and for a single text."""
    texts = as_list(value, name, of="strings")
    if wrong := [item for item in texts if not isinstance(item, str)]:
        raise ValueError(f"{name} must be a list of strings, got {describe(wrong[0])} in it")
    return texts


def as_image(value: ImageLike, name: str = "an image") -> Image.Image:
    """Convert an image of any kind to a PIL image; nothing is fetched.

    Raises ValueError for anything else; the file's own error if it is missing or corrupt.
    """
    return _as_image(value, name, load_image)


def as_images(value: Images, name: str = "images") -> list[Image.Image]:
    """Convert one image or several to a list, as `as_image` does."""
    return [as_image(one, name) for one in _one_or_several(value, name)]


def as_masks(value: Images, name: str = "masks") -> list[Image.Image]:
    """Convert one mask or several to a list, as `as_image` does; files keep what is transparent."""
    return [_as_image(one, name, load_mask) for one in _one_or_several(value, name)]


def is_one_image(value: Any) -> bool:
    """Whether a value is a single image, not several: an array of several has four dimensions."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.dtype != object and value.ndim in (2, 3)
    return isinstance(value, Image.Image | str | Path)


def _one_or_several(value: Any, name: str) -> list:
    return [value] if is_one_image(value) else as_list(value, name, of="images")


def _as_image(value: Any, name: str, load: Callable[[str | Path], Image.Image]) -> Image.Image:
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, str | Path):
        if str(value).startswith(("http://", "https://")):
            raise ValueError(f"{value!s:.80}: URLs are not fetched; give a file or a PIL image")
        return load(value)
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
        return _from_array(np.moveaxis(array, 0, -1) if array.ndim == 3 else array, name)
    if isinstance(value, np.ndarray):
        return _from_array(value, name)
    kinds = "a PIL image, a path or an array"
    raise ValueError(f"{name} must be {kinds}, got {describe(value)}")


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    """Convert uint8, floats in 0..1 or bools, of one, three or four channels."""
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in CHANNELS)) or not array.size:
        raise ValueError(f"{name} must have the shape [h, w] or [h, w, 3 or 4], got {list(array.shape)}")
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{name} must have floats in 0..1, or uint8, got {low:g}..{high:g}")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8, or floats in 0..1, got {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[2:] == (1,) else array))


def as_documents(value: Iterable[Document], name: str = "documents") -> list[Document]:
    """Convert documents to a list of tuples, with PIL images. Raises ValueError for anything else."""
    documents = as_list(value, name, of="documents")
    for document in documents:
        if not isinstance(document, tuple | list) or not all(
            isinstance(s, Segment | Codes) for s in document
        ):
            raise ValueError(
                f"{name} must be a list of documents, tuples of Segment, got {describe(document)} in it"
            )
    return [tuple(map(_with_pil, document)) for document in documents]


def _with_pil(segment: Segment | Codes) -> Segment | Codes:
    """A segment whose image, if it is one of another kind, is a PIL image."""
    if segment.modality != "image" or not isinstance(segment, Segment):
        return segment
    content = segment.content
    return segment if isinstance(content, Image.Image) else replace(segment, content=as_image(content))


def as_device(value: Any) -> str | torch.device:
    """Convert a device as transformers takes it: a number is a GPU's, and -1 the CPU.

    `{"": device}` and "auto" are what `device_map` may be. Raises ValueError for a map of several devices.
    """
    if isinstance(value, dict) and set(value) == {""}:
        value = value[""]
    if isinstance(value, dict) or value in ("balanced", "balanced_low_0", "sequential"):
        raise ValueError(f"device_map must be 'auto' or one device, on which a model lies, got {value!r:.80}")
    if isinstance(value, int) and not isinstance(value, bool):
        return "cpu" if value < 0 else f"cuda:{value}"
    return value


def describe(value: Any) -> str:
    """A value as error messages name it: its repr if it is short, else its type."""
    plain = isinstance(value, str | int | float | bytes | None | np.generic)
    return f"{value!r:.60}" if plain else f"a {type(value).__name__}"


def _is_bool(value: Any) -> bool:
    """Whether a value is a bool of Python, numpy or torch, which would otherwise pass as 0 or 1."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _is_iterable(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True
