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
def init_from_features(
    model: Transformer,
    codec: Codec,
    *,
    scale: float,
    known_ids: Iterable[range] = (),
    cache: Path | None = None,
) -> None:
    """Initialise embeddings of codes from their features: similar codes get similar embeddings.

    What is learned of one code then applies to similar ones, which helps with unseen compositions. The rows
    are trained freely afterwards.

    Args:
        model: its embedding is changed in place.
        codec: its modalities provide the features of their codes.
        scale: root mean square of the embeddings; 0 changes nothing.
        known_ids: ids with trained rows; modalities whose codes are among them are left alone.
        cache: file that caches costly features; it is rewritten if it belongs to other codes.
    """
    if scale == 0:
        return
    for name, modality in codec.modalities.items():
        ids = codec.vocabulary.to_range(name, modality.cells)
        features = None if any(ids.start in known for known in known_ids) else _features(modality, cache)
        if features is not None:
            rows = project(features, model.sizes.width) * scale
            model.embedding.weight[ids.start : ids.stop] = rows.to(model.embedding.weight)


def scale_bridge(model: Transformer, rms: float) -> None:
    """Initialise a new bridge so that its vectors have this root mean square; 0 changes nothing."""
    if model.bridge is not None and not model.bridge.initialised and rms:
        model.bridge.layers.scale_to(rms)


def _features(modality: Modality, cache: Path | None) -> Float[Tensor, "n d"] | None:
    """A modality's features, from the cache if it has them."""
    key = modality.features_key()
    if cache is None or not key:
        return modality.features()
    with suppress(OSError, SafetensorError), safe_open(cache, "pt") as file:
        if (file.metadata() or {}).get("look") == key:
            return file.get_tensor("features")
    features = modality.features()
    if features is not None:
        with suppress(OSError):  # an unwritable cache only costs time
            write_bytes(cache, save({"features": features.contiguous()}, metadata={"look": key}))
    return features


def project(features: Float[Tensor, "n d"], width: int) -> Float[Tensor, "n w"]:
    """Projects features orthogonally to rows of `width` numbers with a root mean square of 1; proportions of
    distances are kept."""
    centred = features - features.mean(dim=0)
    size = min(features.shape[1], width)
    projection = nn.init.orthogonal_(torch.empty(features.shape[1], width)) * (width / size) ** 0.5
    return centred / centred.std() @ projection
