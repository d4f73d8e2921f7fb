"""VQGAN weights by taming's names to ours; sizes are inferred from the tensors. Knows no file."""

import re
from pathlib import Path

from torch import Tensor

from unitok.interop.files import Tensors
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.quantizer import QuantizerConfig
from unitok.models.image_tokenizer.vqgan import VQGAN
from unitok.models.weights import check_tensors

CODEBOOK = "quantize.embedding.weight"
OURS = {
    "encoder.": "encoder.0.",
    "quant_conv.": "encoder.1.",
    "post_quant_conv.": "decoder.0.",
    "decoder.": "decoder.1.",
}
"""Our prefixes for taming's modules."""

COUNTS = "num_batches_tracked"  # integers among the weights


def infer_architecture(tensors: Tensors, *, source: str | Path) -> VQGAN:
    """Infer a VQGAN's sizes from tensors with taming's names.

    Raises:
        ValueError: a tensor that shows a size is missing.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise ValueError(f"{source}: no tensor {name}")
        return tuple(tensors[name].shape)

    channels = shape("encoder.conv_in.weight")[0]
    levels = 1 + max((int(level) for level in _matches(r"encoder\.down\.(\d+)\.", tensors)), default=0)
    widths = [shape(f"encoder.down.{level}.block.0.conv1.weight")[0] for level in range(levels)]
    return VQGAN(
        channels=channels,
        multipliers=tuple(width // channels for width in widths),
        blocks=len(_matches(r"encoder\.down\.0\.block\.(\d+)\.", tensors)),
        attention_levels=tuple(sorted(int(i) for i in _matches(r"encoder\.down\.(\d+)\.attn\.", tensors))),
        middle_attention=bool(_matches(r"encoder\.mid\.(attn_1)\.", tensors)),
        z_channels=shape("encoder.conv_out.weight")[0],
        decodes=any(name.startswith("decoder.") for name in tensors),
    )


def _matches(pattern: str, tensors: Tensors) -> set[str]:
    """The values of the pattern's group in all names that begin with it."""
    return {match[1] for name in tensors if (match := re.match(pattern, name))}


def build_tokenizer(
    tensors: Tensors, architecture: VQGAN, quantizer: QuantizerConfig, *, source: str | Path
) -> ImageTokenizer:
    """Build a tokenizer from tensors with taming's names.

    Raises:
        ValueError: a tensor is missing, unexpected, or of another shape; the message names the first.
    """
    tokenizer = ImageTokenizer(ImageTokenizerConfig(architecture, quantizer))
    renamed = {_our_name(name): tensor for name, tensor in tensors.items() if name != CODEBOOK}
    return load_tensors(tokenizer, renamed, tensors[CODEBOOK], source=source)


def _our_name(name: str) -> str:
    return next(
        (ours + name[len(theirs) :] for theirs, ours in OURS.items() if name.startswith(theirs)), name
    )


def load_tensors(
    tokenizer: ImageTokenizer, tensors: Tensors, codebook: Tensor, *, source: str | Path
) -> ImageTokenizer:
    """Load tensors with our names, and a codebook, into a tokenizer.

    Raises:
        ValueError: a tensor is missing, unexpected, or of another shape; the message names the first.
    """
    state = {name: tensor if name.endswith(COUNTS) else tensor.float() for name, tensor in tensors.items()}
    quantizer_state = tokenizer.quantizer.state_for(codebook.float())
    state |= {f"quantizer.{name}": tensor for name, tensor in quantizer_state.items()}
    check_tensors(state, tokenizer.state_dict(), source=source)
    tokenizer.load_state_dict(state)
    return tokenizer.eval()


def reverse_levels(tensors: Tensors) -> Tensors:
    """Renumber decoder levels that start at the coarsest to start at the finest."""
    last = max((int(level) for level in _matches(r"decoder\.up\.(\d+)\.", tensors)), default=0)
    return {
        re.sub(r"^(decoder\.up\.)(\d+)", lambda m: f"{m[1]}{last - int(m[2])}", name): tensor
        for name, tensor in tensors.items()
    }
