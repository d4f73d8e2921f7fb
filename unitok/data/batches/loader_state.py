"""The state of the data in a checkpoint, for a run that resumes. Knows no model and no document."""

import logging
from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader

from unitok.data.batches.batch_sampler import DocumentBatchSampler, Place
from unitok.data.batches.loader import trained

log = logging.getLogger(__name__)


class Progress:
    """Which documents a run has seen, over all its starts."""

    def __init__(self) -> None:
        self.begun = Place()
        self._windows: DocumentBatchSampler | None = None

    def follow(self, loader: DataLoader) -> DataLoader:
        """Remember the order of the training documents; returns the loader."""
        self._windows = loader.sampler
        return loader

    def state(self, trainer: Any) -> dict[str, int]:
        """For a checkpoint: the place, and what it is a place in."""
        windows = self._windows
        if windows is None:
            return {}
        place = windows.place(trained(trainer))._asdict()
        return place | {"count": windows.count, "seed": windows.order_seed, "size": windows.size}

    def go_on(self, state: Mapping[str, int], windows: DocumentBatchSampler) -> None:
        """Begin where a checkpoint was; one of an older version has no place, and batches are counted then.

        Args:
            state: of the checkpoint.
            windows: as this run would have them from its beginning.
        """
        if not state:
            return
        self.begun = Place(*(state[name] for name in Place._fields))
        for name, here, what in (("count", windows.count, "documents"), ("seed", windows.order_seed, "seed")):
            if state[name] != here:
                log.warning(
                    "data: %s %s, in the checkpoint %s: the order is another, some documents come twice this "
                    "epoch or not at all",
                    *(what, here, state[name]),
                )
        if state["size"] != windows.size:
            log.warning(
                "data: %d documents a step, in the checkpoint %d: going on after %d documents of epoch %d",
                *(windows.size, state["size"], self.begun.documents, self.begun.epoch),
            )
