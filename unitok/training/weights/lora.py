"""LoRA (Hu et al., arXiv:2106.09685): low-rank updates of frozen weights, by peft."""

from collections.abc import Sequence

import torch

from unitok.models.transformer import Transformer, transformer_of
from unitok.training.weights.parallelize import full_tensor, zero_rows

MATRICES = ("qkv", "out", "gate_up", "down")
EMBEDDINGS = ("embedding.weight", "unembedding.weight")


def add_adapters(model: Transformer, *, rank: int, alpha: float) -> None:
    """Give every matrix of the blocks an update of this rank, scaled by alpha / rank; freeze the rest except
    the embedding and the head, whose new rows are trained directly.

    Raises:
        ValueError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError(f"lora_rank={rank} needs peft: pip install 'unitok-lm[lora]'") from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(MATRICES)), model)
    for name, weight in model.named_parameters():
        if name in EMBEDDINGS:
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
    return transformer_of(model.config, tensors)


def freeze_known_rows(model: Transformer, *, known_ids: Sequence[range]) -> None:
    """Zero the gradients of known ids' rows in the embedding and the head."""
    for name, weight in model.named_parameters():
        if name in EMBEDDINGS and weight.grad is not None:
            zero_rows(weight.grad, known_ids)


def freeze_blocks(model: Transformer) -> None:
    """Remove the gradients of all weights except the embedding and the head."""
    for name, weight in model.named_parameters():
        if name not in EMBEDDINGS:
            weight.grad = None
