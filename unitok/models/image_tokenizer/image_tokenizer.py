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

from unitok.atomic_files import finish_folder, folder_beside, refuse_occupied, write_text
from unitok.json_files import made_of, read_object
from unitok.models.image_tokenizer.architecture import Architecture, is_added
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
    known = {field.name: getattr(part, field.name) for field in fields(part)}
    as_before = {
        field.name for field in fields(part) if is_added(field) and known[field.name] == field.default
    }
    values = {name: value for name, value in known.items() if name not in as_before}
    return {"kind": type(part).__name__} | {
        name: _to_json(value) if type(value).__name__ in KINDS else value for name, value in values.items()
    }


def _from_json(values: Any) -> Any:
    """The part that a mapping with a `kind` describes, with the kind's own fields, no more and no less."""
    if not isinstance(values, Mapping) or str(values.get("kind")) not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {_names(values)}")
    kind = KINDS[values["kind"]]
    odd = set(values) ^ {"kind", *(field.name for field in fields(kind))}
    odd -= {field.name for field in fields(kind) if is_added(field)}
    if odd:
        raise ValueError(f"{kind.__name__}: missing or unknown {sorted(odd)}")
    inner = {
        name: _from_json(value) if isinstance(value, Mapping) else value for name, value in values.items()
    }
    del inner["kind"]
    return made_of(kind, inner)


def _names(values: Any) -> str:
    return str(values.get("kind", sorted(values))) if isinstance(values, Mapping) else type(values).__name__


class ImageTokenizer(nn.Module):
    """A VQ-VAE (van den Oord et al., arXiv:1711.00937) whose codes a transformer can read and write.

    Args:
        config: what it is made of.
        device: where the networks' weights are made; "meta" makes none, for those that are to be given.
    """

    def __init__(self, config: ImageTokenizerConfig, *, device: str = "cpu"):
        super().__init__()
        self.config = config
        self.quantizer = config.quantizer.build()  # with tables that are computed, so never on no device
        with torch.device(device):
            self.encoder = config.architecture.encoder(self.quantizer.dim)
            self.decoder = config.architecture.decoder(self.quantizer.dim)
        self._lay_out()

    def _lay_out(self) -> None:
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
        """Write config.json and model.safetensors: both, or as they were. Errors as of `refuse_foreign`."""
        self.refuse_foreign(folder)
        with folder_beside(folder, durable=True) as beside:
            write_weights(beside / WEIGHTS_FILE, self.state_dict())
            write_text(beside / CONFIG_FILE, json.dumps(self.config.to_json(), indent=2) + "\n")

    @staticmethod
    def refuse_foreign(folder: str | Path) -> None:
        """Raises FileExistsError where there is a file, or a folder of something else."""
        finish_folder(folder)
        try:
            ours = bool(_read_config(Path(folder) / CONFIG_FILE))
        except (OSError, ValueError):
            ours = False
        refuse_occupied(folder, ours=ours, what="an image tokenizer")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "ImageTokenizer":
        """The tokenizer of a folder that `save_pretrained` wrote, ready for use (not training).

        Raises:
            OSError: a file of it is missing or cannot be read.
            ValueError: one is damaged, or does not fit the other.
        """
        folder = Path(folder)
        finish_folder(folder)
        try:
            config = _read_config(folder / CONFIG_FILE)
            tensors = read_weights(folder / WEIGHTS_FILE)
        except (FileNotFoundError, NotADirectoryError) as error:
            name = Path(error.filename).name
            raise FileNotFoundError(f"{folder} is no image tokenizer: it has no {name}") from error
        return cls.filled(config, tensors, source=folder / WEIGHTS_FILE).eval()

    @classmethod
    def filled(
        cls, config: ImageTokenizerConfig, tensors: Mapping[str, Tensor], *, source: str | Path
    ) -> "ImageTokenizer":
        """A tokenizer that takes these tensors as its weights, in float32, without drawing any.

        Raises ValueError naming their source where they are not those of the config's sizes.
        """
        try:
            tokenizer = cls(config, device="meta")
        except Exception as error:  # torch and the codebooks' library raise many kinds
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"{source}: nothing can be built by its configuration ({reason})") from error
        expected = tokenizer.state_dict()
        check_tensors(tensors, expected, source=source)
        given = {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}
        tokenizer.load_state_dict(given, assign=True)
        tokenizer._lay_out()
        return tokenizer

    def _check_images(self, images: Tensor) -> None:
        shape, cell = tuple(images.shape), self.cell
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"got images of shape {shape}, expected [batch, 3, height, width]")
        if not all(side and side % cell == 0 for side in shape[2:]):
            raise ValueError(f"got images of {shape[2]}×{shape[3]} pixels, expected multiples of {cell}")


def _read_config(path: Path) -> ImageTokenizerConfig:
    values = read_object(path)
    try:
        return ImageTokenizerConfig.from_json(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no image tokenizer's configuration: {error}") from error
