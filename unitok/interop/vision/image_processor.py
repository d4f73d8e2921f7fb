"""What a folder's preprocessor_config.json does to an image, with Pillow. Knows no network.

The pixels are those of transformers' image processors on Pillow: resized to a size, or to a shortest edge and
cropped at the centre, of an image that may first be padded to a square.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

from PIL import Image

from unitok.json_files import read_object
from unitok.pixels import MAX_PIXELS, Edges

FILES = {"preprocessor_config.json": None, "processor_config.json": "image_processor"}
"""The files that may hold the settings, with the key of these where they are a part."""
PADS_TO_SQUARE = "LlavaImageProcessor"
"""The type that means by do_pad a square; others mean tiles of a batch."""
OF_ANY_SIZE, ANY_SIZE = "Qwen2VLImageProcessor", {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}
"""The type whose images keep their shape, and the number of pixels that it gives them."""
MAX_SHAPE = 50
"""How many times as long as high an image may be before its ends are cut; they would not be seen."""
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class ImageProcessor:
    """How an image becomes the pixels of an encoder.

    Args:
        size: (height, width) of the result in pixels; None for any, as Qwen2-VL has it.
        shortest_edge: to which an image is resized before its centre is cropped; None resizes it to the size,
            whatever its shape.
        pad: whether an image is padded to a square, first.
        resample: the number of Pillow's filter.
        mean: subtracted from red, green and blue in [0, 1].
        std: by which the difference is divided.
    """

    size: tuple[int, int] | None
    shortest_edge: int | None
    pad: bool
    resample: int
    mean: Triple
    std: Triple

    def fit(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Bring an RGB image to (height, width), as the processor does for its own size."""
        height, width = size
        if self.pad:
            image = _pad_to_square(image, tuple(int(255 * value) for value in self.mean))
        elif self.shortest_edge is not None:
            image = _cut_ends(image)
        if self.shortest_edge is None:
            return image.resize((width, height), Image.Resampling(self.resample))
        edge, shorter = self._edge(size), min(image.size)
        image = image.resize(
            tuple(edge if side == shorter else int(edge * side / shorter) for side in image.size),
            Image.Resampling(self.resample),
        )
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    def crop_edges(self, image: Image.Image, size: tuple[int, int]) -> Edges:
        """Edges, in pixels of an image, of what `fit` keeps of it; beyond the image where that is padded."""
        if self.shortest_edge is None:
            return 0, 0, image.width, image.height
        sides = (max(image.size),) * 2 if self.pad else image.size
        seen = [side * min(sides) / self._edge(size) for side in size[::-1]]
        left, top = ((side - part) / 2 for side, part in zip(image.size, seen, strict=True))
        return left, top, image.width - left, image.height - top

    def _edge(self, size: tuple[int, int]) -> int:
        """The shortest edge for an image that is cropped to this size; its margin is the processor's."""
        return round(self.shortest_edge * min(size) / min(self.size))

    def to_json(self) -> dict[str, Any]:
        """The contents of a preprocessor_config.json, for transformers, too."""
        whole = ANY_SIZE if self.size is None else dict(zip(("height", "width"), self.size, strict=True))
        crops = self.shortest_edge is not None
        kinds = {
            OF_ANY_SIZE: self.size is None,
            PADS_TO_SQUARE: self.pad,
            "CLIPImageProcessor": crops,
            "SiglipImageProcessor": True,
        }
        return {
            "image_processor_type": next(kind for kind, fits in kinds.items() if fits),
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": self.shortest_edge} if crops else whole,
            "resample": self.resample,
            **({"do_pad": True} if self.pad else {}),
            **({"do_center_crop": True, "crop_size": whole} if crops else {}),
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }


def read_image_processor(folder: str | Path) -> ImageProcessor:
    """Read the settings of a transformers folder.

    Raises:
        FileNotFoundError: it has none.
        ValueError: they do something else than the resizing, cropping and padding of an ImageProcessor.
    """
    for name, key in FILES.items():
        path = Path(folder) / name
        if path.is_file():
            values = read_object(path)
            values = values if key is None else values.get(key)
            if isinstance(values, dict):
                try:
                    return _parse(values)
                except (ValueError, TypeError) as error:
                    raise ValueError(f"{path}: {error}") from error
    raise FileNotFoundError(f"{folder}: preprocessor_config.json not found, so its pixels are unknown")


def _parse(given: Mapping[str, Any]) -> ImageProcessor:
    values = {name: value for name, value in given.items() if value is not None}
    if any_size := str(values.get("image_processor_type")).startswith(OF_ANY_SIZE):
        values["size"] = 1
    if not values.get("do_resize", True):
        raise ValueError("do_resize must be true, got false")
    size, crop = _sides(values, "size"), None
    if values.get("do_center_crop"):
        crop = _whole(_sides(values, "crop_size"), "crop_size")
    edge = size if isinstance(size, int) and crop is not None else None
    factor = values.get("rescale_factor", 1 / 255) if values.get("do_rescale", True) else 1.0
    scale = 255 * factor
    normalizes = values.get("do_normalize", True)
    mean, std = (_triple(values, name) if normalizes else None for name in ("image_mean", "image_std"))
    if edge is None and crop not in (None, _whole(size, "size")):
        raise ValueError(f"crop_size must be the size to which an image is resized, got {crop} of {size}")
    return ImageProcessor(
        size=None if any_size else crop or _whole(size, "size"),
        shortest_edge=edge,
        pad=bool(values.get("do_pad")) and str(values.get("image_processor_type")).startswith(PADS_TO_SQUARE),
        resample=int(Image.Resampling(values.get("resample", Image.Resampling.BICUBIC))),
        mean=tuple(value / scale for value in mean or (0.0, 0.0, 0.0)),
        std=tuple(value / scale for value in std or (1.0, 1.0, 1.0)),
    )


def _sides(values: Mapping[str, Any], name: str) -> int | tuple[int, int]:
    """A size by its name: of the shortest edge, or (height, width)."""
    size = values.get(name)
    if isinstance(size, Mapping):
        found = {key: side for key, side in size.items() if side is not None}
        if found.keys() == {"shortest_edge"}:
            size = found["shortest_edge"]
        elif found.keys() == {"height", "width"}:
            size = (found["height"], found["width"])
    sides = size if isinstance(size, tuple) else (size,)
    if not all(type(side) is int and side > 0 for side in sides):
        raise ValueError(f"{name} must be height and width, or a shortest edge, got {values.get(name)!r:.80}")
    return size


def _whole(size: int | tuple[int, int], name: str) -> tuple[int, int]:
    """(height, width) of a size; a single number is that of a square."""
    return (size, size) if isinstance(size, int) else size


def _triple(values: Mapping[str, Any], name: str) -> Triple:
    found = values.get(name)
    if not (
        isinstance(found, Sequence) and len(found) == 3 and all(isinstance(v, int | float) for v in found)
    ):
        raise ValueError(f"{name} must be three numbers, got {found!r:.80}")
    return tuple(float(value) for value in found)


def _cut_ends(image: Image.Image) -> Image.Image:
    """The middle of an image that is so long that its shortest edge could not be resized in memory."""
    longest = MAX_SHAPE * min(image.size)
    if max(image.size) <= longest:
        return image
    left, top = (max(0, side - longest) // 2 for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


def _pad_to_square(image: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """The image in the middle of a square of its longer side, which has no more pixels than images may."""
    side = max(image.size)
    if side**2 > MAX_PIXELS:
        factor, side = isqrt(MAX_PIXELS) / side, isqrt(MAX_PIXELS)
        image = image.resize(tuple(max(1, int(factor * length)) for length in image.size))
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
