"""The image tokenizer, a VQ-VAE: pixels to a grid of codebook indices and back. Knows no captions."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unitok.atomic_files import atomic_folder, finish_folder, refuse_occupied, write_text
from unitok.json_files import build_dataclass, is_added_field, read_object, settings_of
from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.image_tokenizer.emu3 import Emu3
from unitok.models.image_tokenizer.lookup_free import FSQLevels, LFQSigns
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.quantizer import Quantized, QuantizerConfig
from unitok.models.image_tokenizer.vector_quantizers import (
    EMACodebook,
    JanusCodebook,
    LearnedCodebook,
    ResidualCodebooks,
    SimVQCodebook,
)
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.image_tokenizer.vqgan import VQGAN
from unitok.models.weights import check_tensors, read_weights, write_weights

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
KINDS = {
    kind.__name__: kind
    for kind in (
        *(Patch, VQGAN, ViT, Emu3),
        *(EMACodebook, LearnedCodebook, SimVQCodebook, ResidualCodebooks, FSQLevels, LFQSigns, JanusCodebook),
    )
}
"""Kinds that a folder's config.json may name; nothing else is looked up, so that no file can run code."""


@dataclass(frozen=True)
class ImageTokenizerConfig:
    """Architecture and quantizer of an image tokenizer.

    Args:
        architecture: encoder and decoder: Patch, VQGAN, ViT, or Emu3 for its checkpoints.
        quantizer: codebook: EMACodebook, LearnedCodebook, SimVQCodebook, ResidualCodebooks, FSQLevels,
            LFQSigns, or JanusCodebook for its checkpoints.
    """

    architecture: Architecture = Patch()  # noqa: RUF009
    quantizer: QuantizerConfig = EMACodebook()  # noqa: RUF009

    def to_json(self) -> dict[str, Any]:
        """The contents of config.json."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, values: Any) -> "ImageTokenizerConfig":
        """The inverse of `to_json`. Raises ValueError for anything else."""
        if not isinstance(values, dict) or set(values) != {"architecture", "quantizer"}:
            raise ValueError(f"keys must be architecture and quantizer, got {_describe(values)}")
        parts = {name: _from_json(value) for name, value in values.items()}
        for name, kind in (("architecture", Architecture), ("quantizer", QuantizerConfig)):
            if not isinstance(parts[name], kind):
                raise ValueError(
                    f"{name} must be a kind of {kind.__name__}, got {type(parts[name]).__name__}"
                )
        return cls(**parts)


def _to_json(part: Any) -> dict[str, Any]:
    return {"kind": type(part).__name__} | {
        name: _to_json(value) if type(value).__name__ in KINDS else value
        for name, value in settings_of(part).items()
    }


def _from_json(values: Any) -> Any:
    """Build the part that a mapping describes by its `kind` and exactly the fields of that kind."""
    if not isinstance(values, Mapping) or str(values.get("kind")) not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {_describe(values)}")
    kind = KINDS[values["kind"]]
    mismatched = set(values) ^ {"kind", *(field.name for field in fields(kind))}
    mismatched -= {field.name for field in fields(kind) if is_added_field(field)}
    if mismatched:
        raise ValueError(f"{kind.__name__}: missing or unknown {sorted(mismatched)}")
    inner = {
        name: _from_json(value) if isinstance(value, Mapping) else value for name, value in values.items()
    }
    del inner["kind"]
    return build_dataclass(kind, inner)


def _describe(values: Any) -> str:
    return str(values.get("kind", sorted(values))) if isinstance(values, Mapping) else type(values).__name__


class ImageTokenizer(nn.Module):
    """A VQ-VAE (van den Oord et al., arXiv:1711.00937) whose codes a transformer can read and write.

    Args:
        config: architecture and quantizer.
        device: device of the networks' initial weights; "meta" creates none, for weights that are loaded
            later.
    """

    def __init__(self, config: ImageTokenizerConfig, *, device: str = "cpu"):
        super().__init__()
        self.config = config
        self.quantizer = config.quantizer.build()  # has computed tables, so never on the meta device
        with torch.device(device):
            self.encoder = config.architecture.encoder(self.quantizer.dim)
            self.decoder = config.architecture.decoder(self.quantizer.dim)
        self._set_memory_format()

    def _set_memory_format(self) -> None:
        for weight in self.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    @property
    def cell(self) -> int:
        """Pixels per side of one code's cell."""
        return self.config.architecture.cell

    @property
    def codebook_size(self) -> int:
        """Number of codes, over all depths."""
        return self.quantizer.size

    @property
    def depth(self) -> int:
        """Codes per cell; more than one with a residual quantizer."""
        return self.quantizer.depth

    def latents(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        """Encode images in [-1, 1] as vectors before quantisation; H and W are multiples of the cell."""
        self._check_images(images)
        return self.encoder(images.to(self.dtype).contiguous(memory_format=torch.channels_last))

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Quantized:
        """Encode images in [-1, 1] as codes, in the precision of the weights even under autocast."""
        with torch.autocast(images.device.type, enabled=False):
            return self.quantizer(self.latents(images))

    def with_dtype(self, dtype: torch.dtype) -> "ImageTokenizer":
        """A copy whose networks compute in `dtype`; in bf16 one or two per cent of the codes change.

        Its fingerprint differs, so that the codes of both are never mixed.
        """
        copied = copy.deepcopy(self)
        copied.encoder.to(dtype)
        copied.decoder.to(dtype)
        return copied

    def decode(self, codes: Int64[Tensor, "b h n"]) -> Float[Tensor, "b 3 H W"]:
        """Decode codes 0..codebook_size-1 to images in [-1, 1] of cell · (h, w) pixels."""
        return self.render(self.quantizer.lookup(codes)).clamp(-1, 1)

    def render(self, latents: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 H W"]:
        """Decode quantised vectors to the means of the pixels, not clamped."""
        return self.decoder(latents.to(self.dtype).contiguous(memory_format=torch.channels_last))

    @property
    def last_weight(self) -> Tensor:
        """Weight of the decoder's last layer, where the gradients of loss terms are balanced."""
        return [weight for weight in self.decoder.parameters() if weight.ndim > 1][-1]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.decoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.decoder.parameters()).dtype

    def fingerprint(self, *, decoder: bool = True) -> str:
        """sha256 of configuration and weights; without the decoder, two tokenizers with equal fingerprints
        have interchangeable codes."""
        digest = hashlib.sha256(json.dumps(self.config.to_json(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            if name.startswith("decoder.") and not decoder:
                continue
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, atomically. Raises the errors of `refuse_foreign`."""
        self.refuse_foreign(folder)
        with atomic_folder(folder, durable=True) as beside:
            write_weights(beside / WEIGHTS_FILE, self.state_dict())
            write_text(beside / CONFIG_FILE, json.dumps(self.config.to_json(), indent=2) + "\n")

    @staticmethod
    def refuse_foreign(folder: str | Path) -> None:
        """Raises FileExistsError where the path is a file, or a folder with other contents."""
        finish_folder(folder)
        try:
            ours = bool(_read_config(Path(folder) / CONFIG_FILE))
        except (OSError, ValueError):
            ours = False
        refuse_occupied(folder, ours=ours, what="an image tokenizer")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "ImageTokenizer":
        """Load a tokenizer from a folder that `save_pretrained` wrote, in eval mode.

        Raises:
            OSError: a file is missing or cannot be read.
            ValueError: a file is corrupt, or the two files do not match.
        """
        folder = Path(folder)
        finish_folder(folder)
        try:
            config = _read_config(folder / CONFIG_FILE)
            tensors = read_weights(folder / WEIGHTS_FILE)
        except (FileNotFoundError, NotADirectoryError) as error:
            name = Path(error.filename).name
            raise FileNotFoundError(f"{folder}: not an image tokenizer: {name} not found") from error
        return cls.from_tensors(config, tensors, source=folder / WEIGHTS_FILE).eval()

    @classmethod
    def from_tensors(
        cls, config: ImageTokenizerConfig, tensors: Mapping[str, Tensor], *, source: str | Path
    ) -> "ImageTokenizer":
        """Build a tokenizer with these tensors as weights, in float32, without initialising others.

        Raises ValueError naming `source` where the tensors do not fit the config.
        """
        try:
            tokenizer = cls(config, device="meta")
        except Exception as error:  # torch and vector-quantize-pytorch raise many kinds
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"{source}: the configuration cannot be built ({reason})") from error
        expected = tokenizer.state_dict()
        check_tensors(tensors, expected, source=source)
        weights = {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}
        tokenizer.load_state_dict(weights, assign=True)
        tokenizer._set_memory_format()
        return tokenizer

    def _check_images(self, images: Tensor) -> None:
        shape, cell = tuple(images.shape), self.cell
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"images must have shape [batch, 3, height, width], got {shape}")
        if not all(side and side % cell == 0 for side in shape[2:]):
            raise ValueError(
                f"height and width of images must be multiples of {cell}, got {shape[2]}×{shape[3]} pixels"
            )


def _read_config(path: Path) -> ImageTokenizerConfig:
    values = read_object(path)
    try:
        return ImageTokenizerConfig.from_json(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not an image tokenizer's configuration: {error}") from error
