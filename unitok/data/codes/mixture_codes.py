"""The codes of a mixture, from sources and stores, and counts of what was read. Knows no format."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import get_worker_info

from unitok.atomic_files import write_text
from unitok.data.codes.encoding import Coded
from unitok.data.source import Concat
from unitok.data.tasks import Task, learned_only
from unitok.document import Codes

REALISED = "data_mixture.json"

log = logging.getLogger(__name__)


class MixedDocuments(Coded):
    """The documents of a mixture, from the codes of its parts.

    Args:
        mixture: a mixture, or sources together; says which document of which part comes at an index, by which
            task.
        parts: the codes of its sources, in their order.
        readers: processes that read, this one included; each has counts of its own, shared by all.

    `before` are the counts of the starts before, of all ranks.
    """

    def __init__(self, mixture: Concat, parts: Sequence[Coded], *, readers: int = 1):
        self.mixture, self.parts = mixture, list(parts)
        self.counted = torch.zeros(readers, len(self.parts), 2, dtype=torch.long).share_memory_()
        self.before: Tensor | int = 0

    def __len__(self) -> int:
        return len(self.mixture)

    def fetch(self, indices: Sequence[int]) -> list[list[Codes] | None]:
        places = [self.mixture.place(index) for index in indices]
        found: dict[tuple[int, int], list[Codes] | None] = {}
        for number, part in enumerate(self.parts):
            wanted = [within for which, within in dict.fromkeys(places) if which == number]
            learn = self.mixture.learn[number]
            for within, codes in zip(wanted, part.fetch(wanted) if wanted else (), strict=True):
                found[number, within] = None if codes is None else learned_only(codes, learn)
        return [found[place] for place in places]

    def task(self, index: int) -> Task | None:
        number, within = self.mixture.place(index)
        return self.mixture.tasks[number] or self.parts[number].task(within)

    def count(self, indices: Sequence[int], ids: Sequence[int]) -> None:
        worker = get_worker_info()
        reader = worker.id + 1 if worker is not None and len(self.counted) > 1 else 0
        counts = self.counted[reader].numpy()
        for index, length in zip(indices, ids, strict=True):
            counts[self.mixture.place(index)[0]] += (1, length)

    def counts(
        self, sum_over_ranks: Callable[[Tensor], Tensor] = lambda counts: counts
    ) -> Int64[Tensor, "parts 2"]:
        """Documents and ids of each source that were read since the beginning, those on their way too."""
        return self.before + sum_over_ranks(self.counted.sum(dim=0))

    def report(self, folder: Path, read: Int64[Tensor, "parts 2"]) -> None:
        """Write what was read into data_mixture.json, and a line for each source into the log."""
        counts = {
            name: {"documents": documents, "ids": ids}
            for name, (documents, ids) in zip(self.mixture.names, read.tolist(), strict=True)
        }
        write_text(folder / REALISED, json.dumps(counts, indent=2) + "\n")
        totals = [max(1, sum(count[what] for count in counts.values())) for what in ("documents", "ids")]
        for name, count in counts.items():
            shares = (f"{value:,} {what} ({value / total:.1%})" for (what, value), total in
                      zip(count.items(), totals, strict=True))  # fmt: skip
            log.info("the mixture as it was read: %s: %s", name, ", ".join(shares))
