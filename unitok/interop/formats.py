"""Registry of readable tokenizer formats; each is imported on demand."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

FORMATS = {
    "taming": "VQGAN of taming-transformers, and Chameleon's vqgan.ckpt (a .ckpt file)",
    "llamagen": "VQ of LlamaGen (a .pt file)",
    "chameleon": "transformers folder of Chameleon (encoder only)",
    "emu3": "transformers folder of Emu3",
    "janus": "transformers folder of Janus",
}


def read(path: str | Path, kind: str) -> "ImageTokenizer":
    """Read an image tokenizer from a file or folder of another project.

    Raises:
        ValueError: the format is unknown, or the file is of another format, incomplete or corrupt.
        FileNotFoundError: the path does not exist.
    """
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {kind!r}")
    return import_module(f"unitok.interop.{kind}").read(path)
