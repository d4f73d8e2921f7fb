"""Which ids compete for a target, and which targets count. Knows ids and groups, no model.

`legal` limits each target's competitors to the ids that the grammar allows there, which suffices for
constrained decoding. `full` lets all ids compete and also teaches ids that the grammar forces, for inference
engines without constrained decoding.
"""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from unitok.data.batches.packing import IGNORED, Batch
from unitok.models.cross_entropy import Group
from unitok.tokens.codec import Codec

Head = Literal["legal", "full"]
SHAPES = 64
"""Of which the number of tokens in the last block's feed-forward layer is a multiple."""


class Objective(NamedTuple):
    """Arguments of `grouped_cross_entropy`: targets, their groups, and ids that compete with every target."""

    targets: Int64[Tensor, "b t"]
    groups: tuple[Group, ...]
    among: range | None


class Competition(ABC):
    """Computes the objective of a batch."""

    def __init__(self, codec: Codec):
        self.codec = codec

    @abstractmethod
    def objective(self, batch: Batch) -> Objective: ...


class Legal(Competition):
    """Each target competes with the ids that are legal at its position."""

    def objective(self, batch: Batch) -> Objective:
        return Objective(batch.targets, self.codec.groups, None)


class Full(Competition):
    """Each target, including the forced ends of images, competes with all ids."""

    def __init__(self, codec: Codec):
        super().__init__(codec)
        closed = [name for name, modality in codec.modalities.items() if not modality.open_ended]
        self.ends = {name: codec.vocabulary.end(name) for name in closed}
        self.groups = (*codec.groups, *((f"{name}_end", name, (end,)) for name, end in self.ends.items()))

    def objective(self, batch: Batch) -> Objective:
        forced = torch.tensor([*self.ends.values()], device=batch.ids.device)
        return Objective(add_forced_targets(batch, forced), self.groups, range(self.codec.vocabulary.size))


def learned_places(targets: Int64[Tensor, "b t"]) -> Int64[Tensor, "2 k"] | None:
    """Returns the places of the learned targets, as indices into all; None where these are nearly all.

    Some others are among them: their number is a multiple of `SHAPES`, so that few shapes occur, for each of
    which the libraries of a device keep a kernel. They come in rows, as all tokens do, so that a compiled
    feed-forward layer serves both.
    """
    learned = (targets != IGNORED).flatten().byte()
    count = max(1, -(-int(learned.sum()) // SHAPES)) * SHAPES
    if count >= len(learned):
        return None
    return learned.argsort(descending=True, stable=True)[:count].view(2, -1)


COMPETITIONS: dict[Head, type[Competition]] = {"legal": Legal, "full": Full}


def add_forced_targets(batch: Batch, forced: Int64[Tensor, " n"]) -> Int64[Tensor, "b t"]:
    """Returns targets that include `forced` ids wherever the id before them is a target."""
    targets = batch.targets.clone()
    next_ids, learned = batch.ids[:, 1:], batch.targets[:, :-1] != IGNORED
    same_document = batch.document[:, 1:] == batch.document[:, :-1]
    is_target = torch.nn.functional.pad(learned, (1, 0))[:, :-1]  # whether the input id here was a target
    positions = torch.isin(next_ids, forced) & same_document & is_target & ~learned
    targets[:, :-1] = torch.where(positions, next_ids, targets[:, :-1])
    return targets
