"""Where weights start, beyond the model's own draws. Knows codes by their features, not what they show."""

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unitok.codec import Codec
from unitok.models.transformer import Transformer

NewHead = Literal["mean", "zero"]


@torch.no_grad()
def start_from_features(
    model: Transformer, codec: Codec, *, scale: float, known: Iterable[range] = ()
) -> None:
    """Let the embeddings of like codes start alike, so that what is learned of one holds for the other.

    Compositions that were never seen are then made of parts that are nearly known. The rows stay free.

    Args:
        model: its embedding is changed in place.
        codec: its modalities tell their codes' features.
        scale: root mean square of an embedding's numbers; 0 changes nothing.
        known: ids that have been learned already; modalities whose codes are among them are left alone.
    """
    for name, modality in codec.modalities.items():
        ids = codec.vocabulary.to_range(name, modality.cells)
        features = None if any(ids.start in old for old in known) else modality.features()
        if features is not None and scale > 0:
            rows = spread(features, model.config.width) * scale
            model.embedding.weight[ids.start : ids.stop] = rows.to(model.embedding.weight)


def spread(features: Float[Tensor, "n d"], width: int) -> Float[Tensor, "n w"]:
    """Features as rows of `width` numbers with a root mean square of 1; distances keep their proportions."""
    centred = features - features.mean(dim=0)
    size = min(features.shape[1], width)
    turn = nn.init.orthogonal_(torch.empty(features.shape[1], width)) * (width / size) ** 0.5
    return centred / centred.std() @ turn
