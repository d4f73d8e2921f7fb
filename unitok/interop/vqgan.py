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
"""Where taming's parts are in our tokenizer."""

COUNTS = "num_batches_tracked"  # whole numbers among the weights


def architecture_of(tensors: Tensors, *, source: str | Path) -> VQGAN:
    """The sizes that tensors with taming's names have.

    Raises:
        ValueError: a tensor is missing from which a size is read.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise ValueError(f"{source} has no tensor {name}")
        return tuple(tensors[name].shape)

    channels = shape("encoder.conv_in.weight")[0]
    levels = 1 + max((int(level) for level in _found(r"encoder\.down\.(\d+)\.", tensors)), default=0)
    widths = [shape(f"encoder.down.{level}.block.0.conv1.weight")[0] for level in range(levels)]
    return VQGAN(
        channels=channels,
        multipliers=tuple(width // channels for width in widths),
        blocks=len(_found(r"encoder\.down\.0\.block\.(\d+)\.", tensors)),
        attention_levels=tuple(sorted(int(i) for i in _found(r"encoder\.down\.(\d+)\.attn\.", tensors))),
        middle_attention=bool(_found(r"encoder\.mid\.(attn_1)\.", tensors)),
        z_channels=shape("encoder.conv_out.weight")[0],
        decodes=any(name.startswith("decoder.") for name in tensors),
    )


def _found(pattern: str, tensors: Tensors) -> set[str]:
    """What the pattern's group is in the names that begin with it."""
    return {match[1] for name in tensors if (match := re.match(pattern, name))}


def build(
    tensors: Tensors, architecture: VQGAN, quantizer: QuantizerConfig, *, source: str | Path
) -> ImageTokenizer:
    """The tokenizer of tensors with taming's names.

    Raises:
        ValueError: a tensor is missing, too many, or of another shape; the first by name is named.
    """
    tokenizer = ImageTokenizer(ImageTokenizerConfig(architecture, quantizer))
    renamed = {_our_name(name): tensor for name, tensor in tensors.items() if name != CODEBOOK}
    return fill(tokenizer, renamed, tensors[CODEBOOK], source=source)


def _our_name(name: str) -> str:
    return next(
        (ours + name[len(theirs) :] for theirs, ours in OURS.items() if name.startswith(theirs)), name
    )


def fill(
    tokenizer: ImageTokenizer, tensors: Tensors, codebook: Tensor, *, source: str | Path
) -> ImageTokenizer:
    """Give a tokenizer all its tensors by our names, and its codebook.

    Raises:
        ValueError: a tensor is missing, too many, or of another shape; the first by name is named.
    """
    given = {name: tensor.float() for name, tensor in tensors.items() if not name.endswith(COUNTS)}
    given |= {name: tensor for name, tensor in tensors.items() if name.endswith(COUNTS)}
    state = tokenizer.quantizer.state_of(codebook.float())
    given |= {f"quantizer.{name}": tensor for name, tensor in state.items()}
    check_tensors(given, tokenizer.state_dict(), source=source)
    tokenizer.load_state_dict(given)
    return tokenizer.eval()


def backwards(tensors: Tensors) -> Tensors:
    """Decoder levels that are numbered from the coarsest, numbered from the finest."""
    last = max((int(level) for level in _found(r"decoder\.up\.(\d+)\.", tensors)), default=0)
    return {
        re.sub(r"^(decoder\.up\.)(\d+)", lambda m: f"{m[1]}{last - int(m[2])}", name): tensor
        for name, tensor in tensors.items()
    }
