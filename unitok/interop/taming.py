"""VQGAN checkpoints of taming-transformers (.ckpt), and Chameleon's vqgan.ckpt."""

from pathlib import Path

from unitok.interop.files import read_checkpoint
from unitok.interop.vqgan import CODEBOOK, build_tokenizer, infer_architecture
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook

TRAINING_ONLY = ("loss.", "model_ema.")  # discriminator, LPIPS, averaged weights


def read(path: str | Path) -> ImageTokenizer:
    """Read the image tokenizer of a checkpoint. Raises FileNotFoundError or ValueError."""
    tensors = {
        name: tensor for name, tensor in read_checkpoint(path).items() if not name.startswith(TRAINING_ONLY)
    }
    architecture = infer_architecture(tensors, source=path)
    if CODEBOOK not in tensors:
        raise ValueError(f"{path}: no tensor {CODEBOOK}; only VQGANs with a plain codebook can be read")
    return build_tokenizer(tensors, architecture, EMACodebook(*tensors[CODEBOOK].shape), source=path)
