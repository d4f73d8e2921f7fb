"""The image tokenizer: pixels to a grid of codebook indices and back. Knows no captions and no joint ids."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from unitok.atomic_files import write_bytes, write_text
from unitok.models.architecture import Architecture
from unitok.models.emu3 import Emu3
from unitok.models.implicit import FSQLevels, LFQSigns
from unitok.models.patch import Patch
from unitok.models.quantizer import Quantized, QuantizerConfig
from unitok.models.vector import (
    EMACodebook,
    JanusCodebook,
    LearnedCodebook,
    ResidualCodebooks,
    SimVQCodebook,
)
from unitok.models.vit import ViT
from unitok.models.vqgan import VQGAN

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
KINDS = {
    kind.__name__: kind
    for kind in (
        *(Patch, VQGAN, ViT, Emu3),
        *(EMACodebook, LearnedCodebook, SimVQCodebook, ResidualCodebooks, FSQLevels, LFQSigns, JanusCodebook),
    )
}
"""What a folder's config.json may name; nothing else is looked up, so that no file can run code."""


@dataclass(frozen=True)
class ImageTokenizerConfig:
    """What an image tokenizer is made of.

    Args:
        architecture: encoder and decoder: Patch, VQGAN, ViT, or Emu3 for its checkpoints.
        quantizer: codes: EMACodebook, LearnedCodebook, SimVQCodebook, ResidualCodebooks, FSQLevels, LFQSigns,
            or JanusCodebook for its checkpoints.
    """

    architecture: Architecture = Patch()  # noqa: RUF009
    quantizer: QuantizerConfig = EMACodebook()  # noqa: RUF009

    def to_json(self) -> dict[str, Any]:
        """As config.json has it."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, values: Any) -> "ImageTokenizerConfig":
        """Raises ValueError for anything that `to_json` does not write."""
        if not isinstance(values, dict) or set(values) != {"architecture", "quantizer"}:
            raise ValueError(f"expected architecture and quantizer, not {_names(values)}")
        parts = {name: _from_json(value) for name, value in values.items()}
        for name, kind in (("architecture", Architecture), ("quantizer", QuantizerConfig)):
            if not isinstance(parts[name], kind):
                raise ValueError(f"{type(parts[name]).__name__} is no {kind.__name__}")
        return cls(**parts)


def _to_json(part: Any) -> dict[str, Any]:
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {"kind": type(part).__name__} | {
        name: _to_json(value) if type(value).__name__ in KINDS else value for name, value in values.items()
    }


def _from_json(values: Any) -> Any:
    """The part that a mapping with a `kind` describes, with the kind's own fields, no more and no less."""
    if not isinstance(values, Mapping) or values.get("kind") not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {_names(values)}")
    kind = KINDS[values["kind"]]
    odd = set(values) ^ {"kind", *(field.name for field in fields(kind))}
    if odd:
        raise ValueError(f"{kind.__name__}: missing or unknown {sorted(odd)}")
    arguments = {
        name: _from_json(value)
        if isinstance(value, Mapping)
        else tuple(value)
        if isinstance(value, list)
        else value
        for name, value in values.items()
        if name != "kind"
    }
    return kind(**arguments)


def _names(values: Any) -> str:
    return str(values.get("kind", sorted(values))) if isinstance(values, Mapping) else type(values).__name__


class ImageTokenizer(nn.Module):
    """A VQ-VAE (van den Oord et al., arXiv:1711.00937) whose codes a transformer can read and write."""

    def __init__(self, config: ImageTokenizerConfig):
        super().__init__()
        self.config = config
        self.quantizer = config.quantizer.build()
        self.encoder = config.architecture.encoder(self.quantizer.dim)
        self.decoder = config.architecture.decoder(self.quantizer.dim)
        for weight in self.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    @property
    def cell(self) -> int:
        """Pixels a side of one code's cell."""
        return self.config.architecture.cell

    @property
    def codebook_size(self) -> int:
        """Number of codes, those of all depths together."""
        return self.quantizer.size

    @property
    def depth(self) -> int:
        """Codes a cell; more than one with a residual quantizer."""
        return self.quantizer.depth

    def latents(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        """Images in [-1, 1] as vectors before quantisation; H and W are multiples of the cell."""
        self._check_images(images)
        return self.encoder(images.to(self.dtype).contiguous(memory_format=torch.channels_last))

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Quantized:
        """Images in [-1, 1] as codes, in the precision of the weights whatever the surroundings have."""
        with torch.autocast(images.device.type, enabled=False):
            return self.quantizer(self.latents(images))

    def lowered(self, dtype: torch.dtype) -> "ImageTokenizer":
        """A copy whose networks compute in `dtype`; in bf16 a per cent or two of the codes change.

        Its fingerprint is another one, so that codes of both are never mixed.
        """
        copied = copy.deepcopy(self)
        copied.encoder.to(dtype)
        copied.decoder.to(dtype)
        return copied

    def decode(self, codes: Int64[Tensor, "b h n"]) -> Float[Tensor, "b 3 H W"]:
        """Codes 0..codebook_size-1 as images in [-1, 1] of cell · (h, w) pixels."""
        return self.render(self.quantizer.lookup(codes)).clamp(-1, 1)

    def render(self, latents: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 H W"]:
        """Quantised vectors as the means of the pixels, not clamped."""
        return self.decoder(latents.to(self.dtype).contiguous(memory_format=torch.channels_last))

    @property
    def last_weight(self) -> Tensor:
        """Of the decoder's last layer, where the terms of an objective are weighed against each other."""
        return [weight for weight in self.decoder.parameters() if weight.ndim > 1][-1]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.decoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.decoder.parameters()).dtype

    def fingerprint(self, *, decoder: bool = True) -> str:
        """sha256 of configuration and weights; codes of two tokenizers mix only where it is equal but for
        what `decoder=False` leaves out."""
        digest = hashlib.sha256(json.dumps(self.config.to_json(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            if name.startswith("decoder.") and not decoder:
                continue
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, each replaced only once it is whole."""
        folder = Path(folder)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_bytes(folder / WEIGHTS_FILE, save(tensors), durable=True)
        write_text(folder / CONFIG_FILE, json.dumps(self.config.to_json(), indent=2) + "\n", durable=True)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "ImageTokenizer":
        """The tokenizer of a folder that `save_pretrained` wrote, ready for use (not training)."""
        folder = Path(folder)
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} is no image tokenizer: it has no {name}")
        tokenizer = cls(_read_config(folder / CONFIG_FILE))
        tokenizer.load_state_dict(_read_weights(folder / WEIGHTS_FILE, tokenizer.state_dict()))
        return tokenizer.eval()

    def _check_images(self, images: Tensor) -> None:
        shape, cell = tuple(images.shape), self.cell
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"got images of shape {shape}, expected [batch, 3, height, width]")
        if not all(side and side % cell == 0 for side in shape[2:]):
            raise ValueError(f"got images of {shape[2]}×{shape[3]} pixels, expected multiples of {cell}")


def _read_config(path: Path) -> ImageTokenizerConfig:
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    try:
        return ImageTokenizerConfig.from_json(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no image tokenizer's configuration: {error}") from error


def _read_weights(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, of just the expected names and shapes."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    check_tensors(tensors, expected, source=path)
    return tensors


def check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: str | Path
) -> None:
    """Raises ValueError with the first name, in order, that is missing, too many, or of another shape."""
    for name in sorted(expected.keys() | tensors.keys()):
        came = tuple(tensors[name].shape) if name in tensors else "nothing"
        wanted = tuple(expected[name].shape) if name in expected else "nothing"
        if came != wanted:
            raise ValueError(f"{source}: tensor {name} has {came}, expected {wanted}")
