"""The VQ model of a transformers Chameleon folder: an encoder without a decoder."""

from pathlib import Path

from unitok.interop.files import below, read_folder
from unitok.interop.vqgan import CODEBOOK, architecture_of, build
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook


def read(folder: str | Path) -> ImageTokenizer:
    """The image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    _, tensors = read_folder(folder)
    tensors = below(tensors, CODEBOOK, source=folder)
    architecture = architecture_of(tensors, source=folder)
    return build(tensors, architecture, EMACodebook(*tensors[CODEBOOK].shape), source=folder)
