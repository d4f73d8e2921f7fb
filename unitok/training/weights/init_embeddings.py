"""Initialises embeddings of codes from their features. Knows no images."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from unitok.atomic_files import write_bytes
from unitok.modalities.base import Modality
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec

NewHead = Literal["mean", "zero"]


@torch.no_grad()
def start_from_features(
    model: Transformer, codec: Codec, *, scale: float, known: Iterable[range] = (), kept: Path | None = None
) -> None:
    """Let the embeddings of like codes start alike, so that what is learned of one holds for the other.

    Compositions that were never seen are then made of parts that are nearly known. The rows stay free.

    Args:
        model: its embedding is changed in place.
        codec: its modalities tell their codes' features.
        scale: root mean square of an embedding's numbers; 0 changes nothing.
        known: ids that have been learned already; modalities whose codes are among them are left alone.
        kept: a file for features that are costly: read if they are these codes', written if not.
    """
    if scale == 0:
        return
    for name, modality in codec.modalities.items():
        ids = codec.vocabulary.to_range(name, modality.cells)
        features = None if any(ids.start in old for old in known) else _features(modality, kept)
        if features is not None:
            rows = spread(features, model.config.width) * scale
            model.embedding.weight[ids.start : ids.stop] = rows.to(model.embedding.weight)


def _features(modality: Modality, kept: Path | None) -> Float[Tensor, "n d"] | None:
    """A modality's features, from a file where that has them."""
    look = modality.features_key()
    if kept is None or not look:
        return modality.features()
    with suppress(OSError, SafetensorError), safe_open(kept, "pt") as file:
        if (file.metadata() or {}).get("look") == look:
            return file.get_tensor("features")
    features = modality.features()
    if features is not None:
        with suppress(OSError):  # where nothing can be written they are made again
            write_bytes(kept, save({"features": features.contiguous()}, metadata={"look": look}))
    return features


def spread(features: Float[Tensor, "n d"], width: int) -> Float[Tensor, "n w"]:
    """Features as rows of `width` numbers with a root mean square of 1; distances keep their proportions."""
    centred = features - features.mean(dim=0)
    size = min(features.shape[1], width)
    turn = nn.init.orthogonal_(torch.empty(features.shape[1], width)) * (width / size) ** 0.5
    return centred / centred.std() @ turn
