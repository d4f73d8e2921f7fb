"""Which ids compete for a target, and which targets count. Knows ids and groups, no model.

`legal` is what the grammar allows at each place, which is all that decoding with a Cursor needs. `full` lets
all ids compete and also teaches those that the grammar forces, for engines that do without it.
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


class Objective(NamedTuple):
    """What `grouped_cross_entropy` takes: targets, the groups they are in, and ids that compete with all."""

    targets: Int64[Tensor, "b t"]
    groups: tuple[Group, ...]
    among: range | None


class Competition(ABC):
    """Makes a batch's objective."""

    def __init__(self, codec: Codec):
        self.codec = codec

    @abstractmethod
    def objective(self, batch: Batch) -> Objective: ...


class Legal(Competition):
    """Each target competes with the ids that are legal at its place."""

    def objective(self, batch: Batch) -> Objective:
        return Objective(batch.targets, self.codec.groups, None)


class Full(Competition):
    """Each target, the forced ends of images too, competes with all ids."""

    def __init__(self, codec: Codec):
        super().__init__(codec)
        closed = [name for name, modality in codec.modalities.items() if not modality.open_ended]
        self.ends = {name: codec.vocabulary.end(name) for name in closed}
        self.groups = (*codec.groups, *((f"{name}_end", name, (end,)) for name, end in self.ends.items()))

    def objective(self, batch: Batch) -> Objective:
        forced = torch.tensor([*self.ends.values()], device=batch.ids.device)
        return Objective(with_forced(batch, forced), self.groups, range(self.codec.vocabulary.size))


COMPETITIONS: dict[Head, type[Competition]] = {"legal": Legal, "full": Full}


def with_forced(batch: Batch, forced: Int64[Tensor, " n"]) -> Int64[Tensor, "b t"]:
    """Targets with the next ids that are `forced`, where the id before them is learned."""
    targets = batch.targets.clone()
    comes, learned = batch.ids[:, 1:], batch.targets[:, :-1] != IGNORED
    alike = batch.document[:, 1:] == batch.document[:, :-1]
    before = torch.nn.functional.pad(learned, (1, 0))[:, :-1]  # the target that led to the id at this place
    places = torch.isin(comes, forced) & alike & before & ~learned
    targets[:, :-1] = torch.where(places, comes, targets[:, :-1])
    return targets
