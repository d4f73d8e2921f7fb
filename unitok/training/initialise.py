"""Where weights start, beyond the model's own draws. Knows codes by their features, not what they show."""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unitok.codec import Codec
from unitok.interop.files import read_config, read_folder
from unitok.interop.qwen3 import from_transformers, sizes_of
from unitok.models.transformer import Transformer, TransformerSizes

NewHead = Literal["mean", "zero"]


@torch.no_grad()
def start_from_features(model: Transformer, codec: Codec, *, scale: float) -> None:
    """Let the embeddings of like codes start alike, so that what is learned of one holds for the other.

    Compositions that were never seen are then made of parts that are nearly known. The rows stay free.

    Args:
        model: its embedding is changed in place.
        codec: its modalities tell their codes' features.
        scale: root mean square of an embedding's numbers; 0 changes nothing.
    """
    for name, modality in codec.modalities.items():
        features = modality.features()
        if features is not None and scale > 0:
            ids = codec.vocabulary.to_range(name, modality.cells)
            rows = spread(features, model.config.width) * scale
            model.embedding.weight[ids.start : ids.stop] = rows.to(model.embedding.weight)


def spread(features: Float[Tensor, "n d"], width: int) -> Float[Tensor, "n w"]:
    """Features as rows of `width` numbers with a root mean square of 1; distances keep their proportions."""
    centred = features - features.mean(dim=0)
    size = min(features.shape[1], width)
    turn = nn.init.orthogonal_(torch.empty(features.shape[1], width)) * (width / size) ** 0.5
    return centred / centred.std() @ turn


def language_model_sizes(folder: str | Path, *, max_length: int) -> TransformerSizes:
    """Those of a transformers folder of the Qwen3 or Llama family.

    Raises:
        FileNotFoundError, ValueError: it is no such folder, or its model has parts that ours has not.
    """
    config = read_config(folder)
    try:
        return TransformerSizes(**sizes_of(config) | {"max_length": max_length})
    except (KeyError, ValueError) as error:
        raise ValueError(f"{folder}: {error}") from error


@torch.no_grad()
def start_from_language_model(
    model: Transformer, codec: Codec, folder: str | Path, *, new_head: NewHead = "mean"
) -> float:
    """Take over a language model: its blocks, and its rows for the text codes, which must be its tokenizer's.

    New ids (images, begins and ends) begin as the mean of its embeddings; in the head as the mean of its
    rows, or as zeros, so that they are neither likely nor unlikely.

    Returns:
        The root mean square of its embeddings.

    Raises:
        ValueError: it has fewer rows than the text tokenizer has codes, or a tensor does not fit.
    """
    _, tensors = read_folder(folder)
    given = {name: tensor.float() for name, tensor in from_transformers(tensors).items()}
    known, rows = codec.modalities["text"].size, len(given["embedding.weight"])
    if known > rows:
        raise ValueError(
            f"{folder} has {rows} rows, the text tokenizer {known} codes: data.text_tokenizer must be its "
            "tokenizer.json"
        )
    root = float(given["embedding.weight"][:known].square().mean().sqrt())
    for name, fill in (("embedding.weight", "mean"), ("unembedding.weight", new_head)):
        old, grown = given[name][:known], torch.zeros_like(model.state_dict()[name])
        if fill == "mean" or model.config.tie_embeddings:
            grown += old.mean(dim=0)
        grown[:known] = old
        given[name] = grown
    for name, tensor in model.state_dict().items():
        if name not in given or given[name].shape != tensor.shape:
            came = tuple(given[name].shape) if name in given else "nothing"
            raise ValueError(f"{folder}: tensor {name} has {came}, expected {tuple(tensor.shape)}")
    model.load_state_dict({name: given[name] for name in model.state_dict()})
    return root
