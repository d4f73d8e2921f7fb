"""The VQ model of a transformers Emu3 folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unitok.interop.files import read_folder, strip_prefix
from unitok.interop.vqgan import CODEBOOK, load_tensors
from unitok.models.image_tokenizer.emu3 import Emu3
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook

FIELDS = {
    "channels": "base_channels",
    "multipliers": "channel_multiplier",
    "blocks": "num_res_blocks",
    "attention_levels": "attn_resolutions",
    "heads": "num_attention_heads",
    "frames": "temporal_downsample_factor",
    "z_channels": "latent_channels",
}
"""Our arguments, with the names of the same in transformers' Emu3VQVAEConfig."""


def read(folder: str | Path) -> ImageTokenizer:
    """Read the image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    config, tensors = read_folder(folder)
    tensors = strip_prefix(tensors, CODEBOOK, source=folder)
    architecture = Emu3(**_sizes(config))
    codebook = tensors.pop(CODEBOOK)
    tokenizer = ImageTokenizer(ImageTokenizerConfig(architecture, EMACodebook(*codebook.shape)))
    return load_tensors(
        tokenizer, {_our_name(name): tensor for name, tensor in tensors.items()}, codebook, source=folder
    )


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The VQ model's arguments; config.json omits values that equal transformers' defaults."""
    vq_config = config.get("vq_config", config)
    sizes = {ours: vq_config[theirs] for ours, theirs in FIELDS.items() if theirs in vq_config}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()}


def _our_name(name: str) -> str:
    """Rename a tensor: `quant_conv` and `post_quant_conv` are inside our encoder and decoder."""
    if name.startswith("quant_conv."):
        return f"encoder.{name}"
    return f"decoder.{name}" if name.startswith("post_quant_conv.") else name
