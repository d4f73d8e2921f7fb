"""The folder of an image tokenizer: its configuration as JSON, and its weights. Knows no layers.

A configuration names the kinds of its parts: the architectures and quantizers that are imported. Nothing else
is looked up, so that no file can run code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from unitok.atomic_files import atomic_folder, finish_folder, refuse_occupied, write_text
from unitok.json_files import read_object
from unitok.models.image_tokenizer import emu3, lookup_free, vit, vqgan  # noqa: F401  (their kinds)
from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.quantizer import QuantizerConfig
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.kinds import describe_part, part_from_json, part_to_json
from unitok.models.weights import check_tensors, read_weights, write_weights

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
Tokenizer = TypeVar("Tokenizer", bound="TokenizerFolder")


PARTS = (Architecture, QuantizerConfig)


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
        return {field.name: part_to_json(getattr(self, field.name), *PARTS) for field in fields(self)}

    @classmethod
    def from_json(cls, values: Any) -> "ImageTokenizerConfig":
        """The inverse of `to_json`. Raises ValueError for anything else."""
        if not isinstance(values, dict) or set(values) != {"architecture", "quantizer"}:
            raise ValueError(f"keys must be architecture and quantizer, got {describe_part(values)}")
        parts = {name: part_from_json(value, *PARTS) for name, value in values.items()}
        for name, kind in (("architecture", Architecture), ("quantizer", QuantizerConfig)):
            if not isinstance(parts[name], kind):
                raise ValueError(
                    f"{name} must be a kind of {kind.__name__}, got {type(parts[name]).__name__}"
                )
        return cls(**parts)


class TokenizerFolder:
    """Saves a tokenizer to a folder and opens it; a base of ImageTokenizer, which has the layers."""

    config: ImageTokenizerConfig

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
    def from_pretrained(cls: type[Tokenizer], folder: str | Path) -> Tokenizer:
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
        cls: type[Tokenizer],
        config: ImageTokenizerConfig,
        tensors: Mapping[str, Tensor],
        *,
        source: str | Path,
    ) -> Tokenizer:
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


def _read_config(path: Path) -> ImageTokenizerConfig:
    values = read_object(path)
    try:
        return ImageTokenizerConfig.from_json(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not an image tokenizer's configuration: {error}") from error
