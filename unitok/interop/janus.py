"""The VQ model of a transformers Janus folder."""

from pathlib import Path

from unitok.interop.files import read_folder, strip_prefix
from unitok.interop.vqgan import CODEBOOK, build_tokenizer, infer_architecture, reverse_levels
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vector_quantizers import JanusCodebook


def read(folder: str | Path) -> ImageTokenizer:
    """Read the image tokenizer of a folder. Raises FileNotFoundError or ValueError."""
    _, tensors = read_folder(folder)
    tensors = reverse_levels(strip_prefix(tensors, CODEBOOK, source=folder))
    architecture = infer_architecture(tensors, source=folder)
    return build_tokenizer(tensors, architecture, JanusCodebook(*tensors[CODEBOOK].shape), source=folder)
