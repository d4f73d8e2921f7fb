"""A model that sees through a Projector, as LLaVA of transformers (arXiv:2310.03744). Knows no grammar.

LLaVA puts vectors in the places of one id, where ours have an id each: that of the first stands for all.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from unitok.api.unitok import UniTok
from unitok.interop.files import Tensors, read_folder
from unitok.interop.language.families import config_of
from unitok.interop.language.weights import to_transformers
from unitok.interop.vision.pretrained import Pretrained
from unitok.json_files import read_object
from unitok.modalities.vision import ENCODER, FOLDER, Vision
from unitok.models.vision.bridge import Projector, ProjectorLayers

TOWERS = {"clip_vision_model": "default", "siglip_vision_model": "full"}
"""Families of encoders by model_type, with LLaVA's word for dropping the vector before the patches."""
LAST_NORM = "post_layernorm"
"""The norm after the last hidden state, which LLaVA builds and does not read."""


class Llava(NamedTuple):
    """What a LLaVA folder holds: config.json, tensors, and preprocessor_config.json."""

    config: dict[str, Any]
    tensors: Tensors
    pixels: dict[str, Any]

    @property
    def places(self) -> dict[str, Any]:
        """How many places an image has, as a processor counts them."""
        strategy = self.config["vision_feature_select_strategy"]
        return {"patch": self.config["vision_config"]["patch_size"], "strategy": strategy}


def to_llava(model: UniTok, **ids: int) -> Llava:
    """Convert a model; `ids` are eos_token_id, …

    Raises ValueError naming the setting with which no LLaVA can be built.
    """
    vision, transformer = model.codec.vision, model.model
    check_vision(vision, transformer.sizes.width)
    place = model.codec.vocabulary.vectors(1)
    text = config_of(replace(transformer.config, vocab_size=place.stop), **ids)
    tower, tensors, pixels = _tower(vision, transformer.bridge)
    layers: ProjectorLayers = transformer.bridge.layers
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "text_config": text,
        "vision_config": tower,
        "image_token_index": place.start,
        "image_seq_length": vision.shape[0] * vision.shape[1],
        "projector_hidden_act": "linear" if layers.first is None else "gelu",
        "multimodal_projector_bias": layers.out.bias is not None,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": TOWERS[tower["model_type"]],
        "tie_word_embeddings": text["tie_word_embeddings"],
        **ids,
    }
    words = {name: w for name, w in transformer.state_dict().items() if not name.startswith("bridge.")}
    for name, weight in to_transformers(words, transformer.sizes).items():
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            weight = F.pad(weight, (0, 0, 0, 1))  # the row of an image's places, which is never read
        tensors[f"language_model.{name}"] = weight
    return Llava(config, tensors | projector_tensors(layers), pixels)


def check_vision(vision: Vision, width: int) -> None:
    """Raise ValueError naming the first setting of a vision that LLaVA lacks."""
    for setting, right, needed, got in _requirements(vision, width):
        if not right:
            raise ValueError(f"data.codec.vision.{setting} must be {needed} for an export, got {got}")


def _requirements(vision: Vision, width: int) -> Iterator[tuple[str, bool, Any, Any]]:
    """Settings, whether they are right, what they must be and what they are."""
    config, encoder, bridge = vision.config, vision.config.encoder, vision.config.bridge
    yield "tiles", config.tiles == 1, 1, config.tiles
    yield "with_codes", not config.with_codes, False, config.with_codes
    yield "bridge", isinstance(bridge, Projector), "a Projector", type(bridge).__name__
    yield "bridge.norm", bridge.norm == "none", "none", bridge.norm
    yield "bridge.merge", bridge.merge == 1, 1, bridge.merge
    yield "bridge.hidden", bridge.hidden <= width, f"at most the model's width of {width}", bridge.hidden
    pretrained = isinstance(encoder, Pretrained)
    yield "encoder", pretrained, "Pretrained", type(encoder).__name__
    tower = encoder.tower
    yield "encoder", tower.kind in TOWERS, f"one of {', '.join(TOWERS)}", tower.kind
    yield "encoder.prefix", not encoder.prefix, False, encoder.prefix
    normed = tower.normed and tower.family.norms_all
    yield "encoder.layer", not normed, "the index of a hidden state", encoder.layer
    yield "encoder.size", set(vision.size) == {tower.image_size}, f"{tower.image_size} twice", vision.size


def _tower(vision: Vision, bridge: torch.nn.Module) -> tuple[dict[str, Any], Tensors, dict[str, Any]]:
    """config.json, tensors and preprocessor_config.json of an encoder, up to the layer that is read."""
    with tempfile.TemporaryDirectory() as folder:
        vision.save(Path(folder), bridge)
        encoder = Path(folder) / FOLDER / ENCODER
        config, saved = read_folder(encoder)
        pixels = read_object(encoder / "preprocessor_config.json")
    prefix = "vision_tower.vision_model."
    tensors = {f"{prefix}{name.removeprefix('vision_model.')}": tensor for name, tensor in saved.items()}
    for part, fill in (("weight", 1.0), ("bias", 0.0)):
        tensors.setdefault(f"{prefix}{LAST_NORM}.{part}", torch.full((config["hidden_size"],), fill))
    return config, tensors, pixels


def projector_tensors(layers: ProjectorLayers) -> Tensors:
    """A projector's weights as LLaVA's two layers, whose hidden channels are as many as its vectors'.

    Missing channels are zeros; the second layer of a linear projector is the identity.
    """
    out, width = layers.out, layers.out.out_features
    if layers.first is None:
        parts = {"linear_1": (out.weight, out.bias), "linear_2": (torch.eye(width).to(out.weight), None)}
    else:
        first, missing = layers.first, width - layers.first.out_features
        bias = None if first.bias is None else F.pad(first.bias, (0, missing))
        parts = {
            "linear_1": (F.pad(first.weight, (0, 0, 0, missing)), bias),
            "linear_2": (F.pad(out.weight, (0, missing)), out.bias),
        }
    tensors = {}
    for name, (weight, bias) in parts.items():
        tensors[f"multi_modal_projector.{name}.weight"] = weight.detach()
        if out.bias is not None:
            bias = weight.new_zeros(width) if bias is None else bias.detach()
            tensors[f"multi_modal_projector.{name}.bias"] = bias
    return tensors
