"""The VQ model of a transformers Emu3 folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unitok.interop.files import below, read_folder
from unitok.interop.vqgan import CODEBOOK, fill
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
"""Our sizes by the names of transformers' Emu3VQVAEConfig."""


def read(folder: str | Path) -> ImageTokenizer:
    """The image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    config, tensors = read_folder(folder)
    tensors = below(tensors, CODEBOOK, source=folder)
    architecture = Emu3(**_sizes(config))
    codebook = tensors.pop(CODEBOOK)
    tokenizer = ImageTokenizer(ImageTokenizerConfig(architecture, EMACodebook(*codebook.shape)))
    return fill(
        tokenizer, {_our_name(name): tensor for name, tensor in tensors.items()}, codebook, source=folder
    )


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of the VQ model; config.json leaves out what has transformers' default."""
    given = config.get("vq_config", config)
    sizes = {ours: given[theirs] for ours, theirs in FIELDS.items() if theirs in given}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()}


def _our_name(name: str) -> str:
    """`quant_conv` and `post_quant_conv` are inside our encoder and decoder."""
    if name.startswith("quant_conv."):
        return f"encoder.{name}"
    return f"decoder.{name}" if name.startswith("post_quant_conv.") else name
