"""Registry of readable formats of image tokenizers and of vision; each is imported on demand."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unitok.modalities.vision_folder import VisionFolder
    from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

FORMATS = {
    "taming": "VQGAN of taming-transformers, and Chameleon's vqgan.ckpt (a .ckpt file)",
    "llamagen": "VQ of LlamaGen (a .pt file)",
    "chameleon": "transformers folder of Chameleon (encoder only)",
    "emu3": "transformers folder of Emu3",
    "janus": "transformers folder of Janus",
}
VISION_FORMATS = {
    "siglip": "transformers folder of SigLIP, or SigLIP 2 of a fixed size: an encoder",
    "clip": "transformers folder of CLIP: an encoder",
    "dinov2": "transformers folder of DINOv2: an encoder",
    "llava": "transformers folder of LLaVA: its encoder and projector",
    "paligemma": "transformers folder of PaliGemma: its encoder and projector",
    "internvl": "transformers folder of InternVL: its encoder and projector",
    "blip2": "transformers folder of BLIP-2: its encoder and Q-Former",
    "qwen2vl": "transformers folder of Qwen2-VL: its encoder and merger, for images of one size",
    "qwen3vl": "transformers folder of Qwen3-VL: its encoder and merger, without DeepStack",
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


def read_vision(path: str | Path, kind: str) -> "VisionFolder":
    """Read an encoder, and the bridge of a model that has one, from a folder of another project.

    Raises:
        ValueError: the format is unknown, or the folder is of another format, incomplete or corrupt.
        FileNotFoundError: the path does not exist.
    """
    if kind not in VISION_FORMATS:
        raise ValueError(f"format must be one of {', '.join(VISION_FORMATS)}, got {kind!r}")
    return import_module("unitok.interop.vision.bridges").read(path, kind)
