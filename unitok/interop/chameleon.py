"""The VQ model in a transformers Chameleon folder. It holds no decoder: it gives codes, not pictures."""

from pathlib import Path

from unitok.interop.files import below, read_folder
from unitok.interop.vqgan import CODEBOOK, architecture_of, build
from unitok.models.autoencoder import ImageTokenizer
from unitok.models.vector import EMACodebook


def read(folder: str | Path) -> ImageTokenizer:
    """The image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    _, tensors = read_folder(folder)
    tensors = below(tensors, CODEBOOK, source=folder)
    architecture = architecture_of(tensors, source=folder)
    return build(tensors, architecture, EMACodebook(*tensors[CODEBOOK].shape), source=folder)
