"""LoRA (Hu et al., arXiv:2106.09685): low-rank updates of frozen weights, by peft."""

from collections.abc import Sequence

import torch

from unitok.models.transformer import Transformer, transformer_of
from unitok.training.weights.parallelize import whole, zero_rows

MATRICES = ("qkv", "out", "gate_up", "down")
TOKENS = ("embedding.weight", "unembedding.weight")


def add_adapters(model: Transformer, *, rank: int, alpha: float) -> None:
    """Give every matrix of the blocks an update of this rank, scaled by alpha / rank; hold all but the
    embedding and the head, whose new rows are trained whole.

    Raises:
        ValueError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError(f"lora_rank={rank} needs peft: pip install 'unitok-lm[lora]'") from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(MATRICES)), model)
    for name, weight in model.named_parameters():
        if name in TOKENS:
            weight.requires_grad_(True)


@torch.no_grad()
def merged(model: Transformer) -> Transformer:
    """A plain transformer of the same outputs, the updates added to the matrices; all processes take part."""
    from peft.tuners.lora import LoraLayer

    held = {name: whole(tensor) for name, tensor in model.state_dict().items()}
    tensors = {name.replace(".base_layer", ""): held[name] for name in held if ".lora_" not in name}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            down, up = (held[f"{name}.lora_{side}.default.weight"] for side in "AB")
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"] + up @ down * module.scaling["default"]
    return transformer_of(model.config, tensors)


def hold_old_rows(model: Transformer, *, known: Sequence[range]) -> None:
    """Take the gradient from the rows of `known` ids in the embedding and the head."""
    for name, weight in model.named_parameters():
        if name in TOKENS and weight.grad is not None:
            zero_rows(weight.grad, known)


def hold_blocks(model: Transformer) -> None:
    """Take the gradient from everything but the embedding and the head."""
    for name, weight in model.named_parameters():
        if name not in TOKENS:
            weight.grad = None
