"""The VQ model of a transformers Chameleon folder: an encoder without a decoder."""

from pathlib import Path

from unitok.interop.files import read_folder, strip_prefix
from unitok.interop.vqgan import CODEBOOK, build_tokenizer, infer_architecture
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook


def read(folder: str | Path) -> ImageTokenizer:
    """Read the image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    _, tensors = read_folder(folder)
    tensors = strip_prefix(tensors, CODEBOOK, source=folder)
    architecture = infer_architecture(tensors, source=folder)
    return build_tokenizer(tensors, architecture, EMACodebook(*tensors[CODEBOOK].shape), source=folder)
