"""Low-rank updates of a model whose own weights are held (LoRA, Hu et al., arXiv:2106.09685), by peft."""

from collections.abc import Iterable

import torch

from unitok.models.transformer import Transformer, filled

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
    """A plain transformer of the same outputs, with the updates added to the matrices."""
    from peft.tuners.lora import LoraLayer

    tensors = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in model.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"] + module.get_delta_weight("default")
    return filled(model.config, tensors)


def hold_old_rows(model: Transformer, *, known: Iterable[range]) -> None:
    """Take the gradient from the rows of `known` ids in the embedding and the head."""
    for name, weight in model.named_parameters():
        if name in TOKENS and weight.grad is not None:
            for ids in known:
                weight.grad[ids.start : ids.stop] = 0


def hold_blocks(model: Transformer) -> None:
    """Take the gradient from everything but the embedding and the head."""
    for name, weight in model.named_parameters():
        if name not in TOKENS:
            weight.grad = None
