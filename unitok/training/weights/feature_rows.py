"""Embeddings of codes that share an MLP of the codes' features while a model is trained. Knows no images."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.transformer import Transformer, transformer_of
from unitok.models.vision.bridge import Projector
from unitok.training.weights.parallelize import full_tensor, gather_weights

SHARED = "embedding.shared."
"""How the names of the weights of the MLPs begin."""


class FeatureEmbedding(nn.Embedding):
    """An embedding to whose rows of codes an MLP adds what it makes of their features.

    A step that changes one row of a plain embedding leaves similar ones behind; through the MLP they move
    with it, and so do those of compositions that training never shows.

    Args:
        embedding: whose rows are each code's own part.
        features: of codes, by their ids.
        hidden: channels of the MLP.
        scale: root mean square of what it adds at first.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        features: Mapping[range, Float[Tensor, "n d"]],
        *,
        hidden: int,
        scale: float,
    ):
        super().__init__(embedding.num_embeddings, embedding.embedding_dim, _weight=embedding.weight)
        self.ids = sorted(features, key=lambda ids: ids.start)
        self.shared = nn.ModuleList(
            SharedRows(features[ids], embedding.embedding_dim, hidden=hidden, scale=scale) for ids in self.ids
        )

    def forward(self, ids: Int64[Tensor, "*b"]) -> Float[Tensor, "*b w"]:
        parts, end = [], 0
        for codes, rows in zip(self.ids, self.shared, strict=True):
            own = self.weight[codes.start : codes.stop]
            parts += [self.weight[end : codes.start], own + rows().to(own.dtype)]
            end = codes.stop
        return F.embedding(ids, torch.cat([*parts, self.weight[end:]]))


class SharedRows(nn.Module):
    """What an MLP makes of the features of codes."""

    def __init__(self, features: Float[Tensor, "n d"], width: int, *, hidden: int, scale: float):
        super().__init__()
        self.register_buffer("features", standardise(features)[None], persistent=False)
        self.layers = Projector(hidden, norm="none").build(features.shape[1], width, (1, len(features)))
        self.layers.scale_to(scale)

    def forward(self) -> Float[Tensor, "n w"]:
        return self.layers(self.features)[0]


def standardise(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Features with a mean of 0 in each channel, and a deviation of 1 over all of them."""
    centred = features - features.mean(dim=0)
    return centred / centred.std()


@torch.no_grad()
def merge_features(model: Transformer) -> Transformer:
    """A plain transformer with each code's own and shared rows added, or the model itself where it is one;
    collective over all processes."""
    if not isinstance(model.embedding, FeatureEmbedding):
        return gather_weights(model)
    weights = {name: full_tensor(tensor) for name, tensor in model.state_dict().items()}
    own = {name: weights[f"embedding.{name}"] for name in model.embedding.state_dict()}
    ids = torch.arange(model.config.vocab_size, device=own["weight"].device)
    tensors = {name: tensor for name, tensor in weights.items() if not name.startswith(SHARED)}
    tensors["embedding.weight"] = torch.func.functional_call(model.embedding, own, (ids,))
    return transformer_of(model.config, tensors, build_bridge=model.build_bridge)
