"""The VQ model of a transformers Janus folder."""

from pathlib import Path

from unitok.interop.files import below, read_folder
from unitok.interop.vqgan import CODEBOOK, architecture_of, backwards, build
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vector_quantizers import JanusCodebook


def read(folder: str | Path) -> ImageTokenizer:
    """The image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    _, tensors = read_folder(folder)
    tensors = backwards(below(tensors, CODEBOOK, source=folder))
    architecture = architecture_of(tensors, source=folder)
    return build(tensors, architecture, JanusCodebook(*tensors[CODEBOOK].shape), source=folder)
