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
from unitok.data.codes.encoding import CodedDocuments
from unitok.data.source import Concat
from unitok.data.tasks import Task, learn_only
from unitok.document import Codes, Document

REPORT = "data_mixture.json"

log = logging.getLogger(__name__)


class MixedDocuments(CodedDocuments):
    """The documents of a mixture, from the codes of its sources.

    Args:
        mixture: a mixture or concatenation, which maps an index to a source, a document in it, and its task.
        sources: the codes of its sources, in their order.
        readers: processes that read, this one included; each has its own counts in shared memory.

    `previous_counts` are those of the earlier starts of a resumed run, of all ranks.
    """

    def __init__(self, mixture: Concat, sources: Sequence[CodedDocuments], *, readers: int = 1):
        self.mixture, self.sources = mixture, list(sources)
        self._counts = torch.zeros(readers, len(self.sources), 2, dtype=torch.long).share_memory_()
        self.previous_counts: Tensor | int = 0

    def __len__(self) -> int:
        return len(self.mixture)

    def fetch(self, indices: Sequence[int]) -> list[list[Codes] | None]:
        return self._of_sources(indices, lambda source, inner: source.fetch(inner))

    def peek(self, indices: Sequence[int]) -> list[Document | None]:
        documents = self._of_sources(indices, lambda source, inner: source.peek(inner))
        return [None if document is None else tuple(document) for document in documents]

    def _of_sources(
        self, indices: Sequence[int], fetch: Callable[[CodedDocuments, list[int]], Sequence]
    ) -> list[list | None]:
        """Fetches each source's share of the documents in one call."""
        places = [self.mixture.locate(index) for index in indices]
        fetched: dict[tuple[int, int], list | None] = {}
        for number, source in enumerate(self.sources):
            inner = [index for source_number, index in dict.fromkeys(places) if source_number == number]
            learn = self.mixture.learn[number]
            for index, codes in zip(inner, fetch(source, inner) if inner else (), strict=True):
                fetched[number, index] = None if codes is None else learn_only(codes, learn)
        return [fetched[place] for place in places]

    def task(self, index: int) -> Task | None:
        number, inner = self.mixture.locate(index)
        return self.mixture.tasks[number] or self.sources[number].task(inner)

    def count(self, indices: Sequence[int], ids: Sequence[int]) -> None:
        worker = get_worker_info()
        reader = worker.id + 1 if worker is not None and len(self._counts) > 1 else 0
        counts = self._counts[reader].numpy()
        for index, length in zip(indices, ids, strict=True):
            counts[self.mixture.locate(index)[0]] += (1, length)

    def counts(
        self, sum_over_ranks: Callable[[Tensor], Tensor] = lambda counts: counts
    ) -> Int64[Tensor, "sources 2"]:
        """The documents and ids read from each source since the run began, prefetched ones included."""
        return self.previous_counts + sum_over_ranks(self._counts.sum(dim=0))

    def report(self, folder: Path, totals: Int64[Tensor, "sources 2"]) -> None:
        """Writes the counts to data_mixture.json, and logs a line for each source."""
        counts = {
            name: {"documents": documents, "ids": ids}
            for name, (documents, ids) in zip(self.mixture.names, totals.tolist(), strict=True)
        }
        write_text(folder / REPORT, json.dumps(counts, indent=2) + "\n")
        totals = [max(1, sum(count[what] for count in counts.values())) for what in ("documents", "ids")]
        for name, count in counts.items():
            shares = (f"{value:,} {what} ({value / total:.1%})" for (what, value), total in
                      zip(count.items(), totals, strict=True))  # fmt: skip
            log.info("mixture as read: %s: %s", name, ", ".join(shares))
