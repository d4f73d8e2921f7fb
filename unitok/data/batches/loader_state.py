"""The state of the data in a checkpoint, for a run that resumes. Knows no model and no document."""

import logging
from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader, Dataset

from unitok.data.batches.batch_sampler import DocumentBatchSampler, Position
from unitok.data.batches.loader import batches_trained, build_loader

log = logging.getLogger(__name__)


class Progress:
    """The position of a run in its training data, over all its starts."""

    def __init__(self) -> None:
        self.origin = Position()
        self._sampler: DocumentBatchSampler | None = None

    def loader(
        self, dataset: Dataset, trainer: Any, *, batch_size: int, workers: int, seed: int
    ) -> DataLoader:
        """Builds the loader of the training documents, which goes on at this position; see `build_loader`."""
        loader = build_loader(
            dataset,
            trainer,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            start=lambda: batches_trained(trainer),
            origin=self.origin,
        )
        self._sampler = loader.sampler
        return loader

    def state(self, trainer: Any) -> dict[str, int]:
        """Returns, for a checkpoint, the position and the settings of the sampler."""
        sampler = self._sampler
        if sampler is None:
            return {}
        position = sampler.position(batches_trained(trainer))._asdict()
        return position | {"count": sampler.count, "seed": sampler.order_seed, "size": sampler.size}

    def resume(self, state: Mapping[str, int], sampler: DocumentBatchSampler) -> None:
        """Resumes at the position of a checkpoint; without one (older versions), batches are counted.

        Args:
            state: the checkpoint's.
            sampler: this run's, as if from scratch.
        """
        if not state:
            return
        self.origin = Position(*(state[name] for name in Position._fields))
        for name, value, noun in (
            ("count", sampler.count, "documents"),
            ("seed", sampler.order_seed, "seed"),
        ):
            if state[name] != value:
                log.warning(
                    "data: %s %s, in the checkpoint %s: the order differs, some documents occur twice this "
                    "epoch or not at all",
                    *(noun, value, state[name]),
                )
        if state["size"] != sampler.size:
            log.warning(
                "data: %d documents per step, in the checkpoint %d: resuming after %d documents of epoch %d",
                *(sampler.size, state["size"], self.origin.documents, self.origin.epoch),
            )
