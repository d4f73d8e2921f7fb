"""Pretrained vision encoders (CLIP, SigLIP, DINOv2): a folder of transformers' layout as an Encoder.

Also the vision tower of a whole model: LLaVA, PaliGemma, InternVL, BLIP-2, Qwen2-VL. Nothing is downloaded,
and no code or pickle of a folder is run. Knows no transformer of ours.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from unitok.atomic_files import write_text
from unitok.interop.files import Tensors
from unitok.interop.vision.image_processor import ImageProcessor, read_image_processor
from unitok.interop.vision.towers import Tower, quiet
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.vision.encoder import Encoder
from unitok.pixels import Edges


@dataclass(frozen=True)
class Pretrained(Encoder):
    """A vision tower of transformers, such as SigLIP's.

    Args:
        folder: of the tower, or of a whole model that has one.
        layer: index of the hidden state that it gives, as in transformers: -2, the last but one, is LLaVA's;
            null for the last one after the last norm.
        prefix: whether it also gives the states before the patches, such as CLS; all then lie in one row, for
            a bridge of queries.
        size: (height, width) in pixels; None for that of the folder's preprocessor_config.json.
    """

    folder: str
    layer: int | None = -2
    prefix: bool = False
    size: tuple[int, int] | None = None

    @cached_property
    def tower(self) -> Tower:
        """The folder's tower. Raises the errors of Tower."""
        return Tower(self.folder, self.layer)

    @cached_property
    def processor(self) -> ImageProcessor:
        """What the folder does to an image. Raises the errors of read_image_processor."""
        return read_image_processor(self.folder)

    def input_size(self, drawn: tuple[int, int] | None) -> tuple[int, int]:
        size = self.size or self.processor.size
        if size is None:
            raise ValueError(
                f"{self.folder}: encoder.size must be (height, width), as its images have any size"
            )
        return size

    def grid(self, size: tuple[int, int], tokenizer: ImageTokenizer | None) -> tuple[int, int]:
        rows, columns = self.patches(size)
        return (1, self.tower.prefix + rows * columns) if self.prefix else (rows, columns)

    def patches(self, size: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of the patches of an image of this size, whose remaining pixels are not seen.

        Raises ValueError if the tower cannot see images of this size.
        """
        cell, trained = self.tower.cell, self.tower.image_size
        if len(size) != 2 or min(size) < cell:
            raise ValueError(f"encoder.size must be at least its cell of {cell} pixels, got {size}")
        if any(side % (step := cell * self.tower.family.multiple) for side in size) and step > cell:
            raise ValueError(f"encoder.size must be multiples of {step} pixels, got {size}")
        if self.tower.family.resizes is False and set(size) != {trained}:
            raise ValueError(f"encoder.size must be that of {self.folder}, {trained} x {trained}, got {size}")
        return size[0] // cell, size[1] // cell

    def fit(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return self.processor.fit(image, size)

    def crop_edges(self, image: Image.Image, size: tuple[int, int]) -> Edges:
        return self.processor.crop_edges(image, size)

    def cell(self, tokenizer: ImageTokenizer | None) -> int:
        return self.tower.cell

    def dim(self, tokenizer: ImageTokenizer | None) -> int:
        return self.tower.dim

    def build(self, tokenizer: ImageTokenizer | None) -> nn.Module:
        """As of any Encoder; under the device "meta" the folder's weights are not read.

        Raises the errors of `Tower.load`.
        """
        on_meta = torch.get_default_device().type == "meta"
        return PretrainedLayers(self, self.tower.build() if on_meta else self.tower.load())

    def identity(self, module: nn.Module | None) -> Any:
        config = self.tower.config.to_dict()
        values = {
            "tower": {name: value for name, value in config.items() if name not in VERSIONS},
            "processor": self.processor.to_json(),
            "normed": self.tower.normed,
            "prefix": self.prefix,
            "size": self.input_size(None),
        }
        if module is not None:
            values["weights"] = _digest(module)
        return {"kind": "Pretrained", "sha256": hashlib.sha256(_as_text(values).encode()).hexdigest()}

    def placed(self, folder: str | Path) -> Encoder:
        from_first = self.layer if self.layer is None or self.layer >= 0 else self.tower.depth
        return replace(self, folder=str(folder), layer=from_first)  # later layers are not saved

    def save(self, folder: Path, module: nn.Module) -> None:
        """Write a folder of transformers' layout with the layers that run, and their image processor."""
        weights = narrowed(module.tower.state_dict(), self.tower.stored_dtype)
        with quiet():
            module.tower.save_pretrained(folder, state_dict=weights)
        write_text(folder / "preprocessor_config.json", _as_text(self.processor.to_json()))

    def kept(self, module: nn.Module) -> set[str]:
        return set(module.state_dict())


def narrowed(weights: Tensors, dtype: torch.dtype) -> Tensors:
    """The weights in another dtype if none of them changes by that, or else as they are."""
    narrow = {name: weight.to(dtype) for name, weight in weights.items()}
    same = all(torch.equal(narrow[name].to(weight.dtype), weight) for name, weight in weights.items())
    return narrow if same else weights


VERSIONS = ("transformers_version", "_name_or_path", "architectures", "dtype")
"""What a config says of its making."""


def _as_text(values: Any) -> str:
    return json.dumps(values, indent=2, sort_keys=True, default=str) + "\n"


def _digest(module: nn.Module) -> str:
    """The sha256 of a module's weights by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


class PretrainedLayers(nn.Module):
    """A tower, given pixels as ours are; its dropout and augmentation stay off, also where it is trained."""

    def __init__(self, config: Pretrained, tower: nn.Module):
        super().__init__()
        self.tower = tower
        self.config = config

    def train(self, mode: bool = True) -> "PretrainedLayers":
        return super().train(False)

    def forward(self, pixels: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b d h w"]:
        config = self.config
        mean, std = (
            pixels.new_tensor(v)[:, None, None] for v in (config.processor.mean, config.processor.std)
        )
        theirs = ((pixels + 1) / 2 - mean) / std
        states = config.tower.family.states(self.tower, theirs)
        size = (pixels.shape[2], pixels.shape[3])
        first = 0 if config.prefix else config.tower.prefix
        return states[:, first:].mT.unflatten(2, config.grid(size, None))
