"""Families of vision towers of transformers: what all towers of one model_type have in common.

Knows no folder. The states that a tower gives are those before the patches, then the patches row by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

HEADS = {
    "vision_use_head": False,
    "use_head": False,
    "use_mask_token": False,
    "deepstack_visual_indexes": [],
}
"""Settings that leave out what is not used: a trained weight without a gradient stops some strategies."""


@dataclass(frozen=True)
class Family:
    """A plain vision transformer.

    Args:
        model: the path of its class in transformers.
        prefix: number of states before those of the patches, without registers.
        patches: the name of the weight that embeds patches, which only the tower has in a model.
        norm: the name of the last norm.
        resizes: whether it sees images of another size than its own; None for one that must be told to.
        norms_all: whether its last hidden state is normalised; else only what it pools is.
    """

    model: str
    prefix: int
    patches: str
    norm: str = "post_layernorm"
    resizes: bool | None = True
    norms_all: bool = True
    depth = "num_hidden_layers"
    multiple = 1

    def find(self) -> type["PreTrainedModel"] | None:
        """Its class, if this version of transformers has it. Raises ImportError without transformers."""
        module, _, name = f"transformers.{self.model}".rpartition(".")
        return getattr(import_module(module), name, None)

    def settings(self, whole: "PreTrainedConfig", depth: int) -> dict[str, Any]:
        """The settings of a tower of `depth` layers without what is not used."""
        unused = {name: value for name, value in HEADS.items() if hasattr(whole, name)}
        return {self.depth: depth} | unused

    def dim(self, config: "PreTrainedConfig") -> int:
        """Channels of a hidden state."""
        return config.hidden_size

    def trim(self, model: "PreTrainedModel", *, normed: bool) -> None:
        """Take out what the states do not need."""
        if not (normed and self.norms_all):
            setattr(model, self.norm, nn.Identity())
        if hasattr(model.embeddings, "mask_token"):
            model.embeddings.mask_token = None

    def states(self, model: nn.Module, pixels: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b n d"]:
        """The last hidden state of normalised pixels."""
        options = {} if self.resizes is not None else {"interpolate_pos_encoding": True}
        return model(pixels, **options).last_hidden_state


class Qwen(Family):
    """A tower of Qwen2-VL (arXiv:2409.12191): patches come in squares, which the model's merger makes one.

    The merger is a part of the bridge, so the states are those before it. DeepStack's states of earlier
    layers are left out.
    """

    depth = "depth"
    multiple = 2

    def dim(self, config: "PreTrainedConfig") -> int:
        return getattr(config, "embed_dim", config.hidden_size)

    def trim(self, model: "PreTrainedModel", *, normed: bool) -> None:
        model.merger = Joined(model.spatial_merge_size**2)

    def states(self, model: nn.Module, pixels: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b n d"]:
        config, side = model.config, model.spatial_merge_size
        patch = config.patch_size
        rows, columns = pixels.shape[2] // patch, pixels.shape[3] // patch
        squares = (rows // side, side, patch, columns // side, side, patch)
        cut = (
            pixels[:, :, : rows * patch, : columns * patch]
            .unflatten(3, squares[3:])
            .unflatten(2, squares[:3])
        )
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7)  # b, rows, columns, and in a square; then 3 and the pixels
        frames = cut.flatten(0, 4)[:, :, None].expand(-1, -1, config.temporal_patch_size, -1, -1)
        grid = torch.tensor([[1, rows, columns]] * len(pixels), device=pixels.device)
        joined = model(frames.flatten(1), grid_thw=grid).pooler_output  # in order, also with windows
        states = joined.view(len(pixels), rows // side, columns // side, side, side, -1)
        return states.transpose(2, 3).flatten(1, 4)


class Joined(nn.Module):
    """The states of so many neighbours side by side, in the place of a merger."""

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def forward(self, states: Float[Tensor, "n d"]) -> Float[Tensor, "m c"]:
        return states.reshape(len(states) // self.count, -1)


PATCH, PROJECTION = "embeddings.patch_embedding.weight", "embeddings.patch_embeddings.projection.weight"
QWEN = "patch_embed.proj.weight"
QWENS = {
    "qwen2_vl": Qwen("models.qwen2_vl.modeling_qwen2_vl.Qwen2VisionTransformerPretrainedModel", 0, QWEN),
    "qwen2_5_vl": Qwen("Qwen2_5_VisionTransformerPretrainedModel", 0, QWEN),
    "qwen3_vl": Qwen("Qwen3VLVisionModel", 0, QWEN),
}
FAMILIES: Mapping[str, Family] = {
    "clip_vision_model": Family("CLIPVisionModel", 1, PATCH, resizes=None, norms_all=False),
    "siglip_vision_model": Family("SiglipVisionModel", 0, PATCH, resizes=None),
    "blip_2_vision_model": Family("Blip2VisionModel", 1, PATCH, resizes=None),
    "dinov2": Family("Dinov2Model", 1, PROJECTION, "layernorm"),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", 1, PROJECTION, "layernorm"),
    "dinov3_vit": Family("DINOv3ViTModel", 1, "embeddings.patch_embeddings.weight", "norm"),
    "internvl_vision": Family("InternVLVisionModel", 1, PROJECTION, "layernorm"),
    "aimv2_vision_model": Family(
        "Aimv2VisionModel", 0, "embeddings.patch_embed.weight", "rms_norm", resizes=False
    ),
    **QWENS,
    **{f"{kind}_vision": family for kind, family in QWENS.items()},
}
"""By model_type of a tower, or of the whole model where its tower has none; nothing else is opened."""
