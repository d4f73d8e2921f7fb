"""LlamaGen's VQ checkpoints (.pt), and those of the first Janus: a codebook of unit vectors."""

import re
from pathlib import Path

from unitok.interop.files import read_checkpoint
from unitok.interop.vqgan import CODEBOOK, build_tokenizer, infer_architecture, reverse_levels
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook

USAGE = "quantize.codebook_used"  # codes that training used lately
MIDDLE = {"0": "block_1", "1": "attn_1", "2": "block_2"}


def read(path: str | Path) -> ImageTokenizer:
    """Read the image tokenizer of a checkpoint. Raises FileNotFoundError or ValueError."""
    tensors = read_checkpoint(path, under=("ema", "model", "state_dict"))
    tensors = {_taming_name(name): tensor for name, tensor in tensors.items() if name != USAGE}
    tensors = reverse_levels(tensors)
    architecture = infer_architecture(tensors, source=path)
    if CODEBOOK not in tensors:
        raise ValueError(f"{path}: no tensor {CODEBOOK}")
    return build_tokenizer(
        tensors, architecture, EMACodebook(*tensors[CODEBOOK].shape, cosine=True), source=path
    )


def _taming_name(name: str) -> str:
    """Rename a tensor from LlamaGen to taming, its level still in LlamaGen's order."""
    name = re.sub(r"^(encoder|decoder)\.mid\.(\d)\.", lambda m: f"{m[1]}.mid.{MIDDLE.get(m[2], m[2])}.", name)
    name = re.sub(r"^encoder\.conv_blocks\.(\d+)\.", r"encoder.down.\1.", name)
    name = re.sub(r"^decoder\.conv_blocks\.(\d+)\.", r"decoder.up.\1.", name)
    return re.sub(r"^((?:en|de)coder\.(?:down|up)\.\d+)\.res\.", r"\1.block.", name)
