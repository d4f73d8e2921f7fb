"""LoRA (Hu et al., arXiv:2106.09685): low-rank updates of frozen weights, by peft."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from unitok.models.transformer import Transformer, transformer_of
from unitok.training.weights.parallelize import full_tensor, zero_rows
from unitok.training.weights.parts import EMBEDDINGS, part_of

MATRICES = r"blocks\..*\.(qkv|out|gate_up|down)"
"""The names of the blocks' matrices; a bridge may have layers of the same names."""


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank updates of a transformer's blocks.

    Args:
        rank: train updates of this rank instead of the blocks' matrices, and the rows of new ids; they are
            merged in the exported model. 0 trains everything.
        alpha: scale of the updates, as alpha / rank.
    """

    rank: int = 0
    alpha: float = 16.0


def add_adapters(model: Transformer, config: LoraConfig) -> None:
    """Give every matrix of the blocks an update; freeze the rest of the blocks. The rows of new ids, and a
    bridge, are trained directly.

    Raises:
        ValueError: peft is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise ValueError(f"lora.rank={config.rank} needs peft: pip install 'unitok-lm[lora]'") from error
    trained = {
        name
        for name, weight in model.named_parameters()
        if part_of(name) != "blocks" and weight.requires_grad
    }
    theirs = peft.LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=MATRICES)
    peft.inject_adapter_in_model(theirs, model)
    for name, weight in model.named_parameters():
        if name.replace(".base_layer", "") in trained:
            weight.requires_grad_(True)


@torch.no_grad()
def merge_adapters(model: Transformer) -> Transformer:
    """A plain transformer with the updates added to its matrices; collective over all processes."""
    from peft.tuners.lora import LoraLayer

    weights = {name: full_tensor(tensor) for name, tensor in model.state_dict().items()}
    tensors = {name.replace(".base_layer", ""): weights[name] for name in weights if ".lora_" not in name}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            down, up = (weights[f"{name}.lora_{side}.default.weight"] for side in "AB")
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"] + up @ down * module.scaling["default"]
    return transformer_of(model.config, tensors, build_bridge=model.build_bridge)


def freeze_known_rows(model: Transformer, *, known_ids: Sequence[range]) -> None:
    """Zero the gradients of known ids' rows in the embedding and the head."""
    for name, weight in model.named_parameters():
        if name in EMBEDDINGS and weight.grad is not None:
            zero_rows(weight.grad, known_ids)


def freeze_blocks(model: Transformer) -> None:
    """Remove the gradients of the blocks' weights."""
    for name, weight in model.named_parameters():
        if part_of(name) == "blocks":
            weight.grad = None
