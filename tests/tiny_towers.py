"""Tiny random vision towers and whole models of transformers, saved as their folders are."""

from pathlib import Path
from typing import Any

import torch

from unitok.interop.vision.families import FAMILIES

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 24,
    "patch_size": 8,
}
FORWARD = {"intermediate_size": 48}
TOWERS = {
    "clip_vision_model": FORWARD,
    "siglip_vision_model": FORWARD,
    "blip_2_vision_model": FORWARD,
    "dinov2": {},
    "dinov2_with_registers": {"num_register_tokens": 4},
    "dinov3_vit": FORWARD | {"num_register_tokens": 4},
    "internvl_vision": FORWARD | {"image_size": [24, 24], "patch_size": [8, 8]},
    "aimv2_vision_model": FORWARD,
}
"""Settings of each family beside SIZES."""


def tiny_tower(kind: str, **changes: Any) -> Any:
    """A tower of a family with random weights, in eval mode."""
    torch.manual_seed(0)
    model = FAMILIES[kind].find()
    return randomise(model(model.config_class(**SIZES | TOWERS[kind] | changes)))


def randomise(model: Any) -> Any:
    """Give every weight a random value, also those that start as zeros or ones."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.2)
    return model.eval()


def save_tower(model: Any, folder: Path, processor: Any = None) -> Path:
    """Write a model's folder with an image processor of 24 x 24 pixels, SigLIP's by default."""
    from transformers import SiglipImageProcessorPil

    model.save_pretrained(folder)
    square = {"height": 24, "width": 24}
    (SiglipImageProcessorPil(size=square) if processor is None else processor).save_pretrained(folder)
    return folder
