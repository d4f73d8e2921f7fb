"""Several sources in one, each with its share of the documents. Knows no format and no task."""

import logging
from bisect import bisect_right
from itertools import accumulate

from unitok.data.readers.base import Source
from unitok.document import Document

log = logging.getLogger(__name__)


class Mixture(Source):
    """Sources by weight: of an epoch's documents each gives its share, and of each every document comes.

    The source that is largest for its weight comes once an epoch, the others again and again; so an epoch is
    as long as that takes. A document is a function of its index alone, as everywhere.

    Args:
        sources: one or more, none of them empty.
        weights: shares, one a source, above 0; they need not add up to 1.

    Raises:
        ValueError: weights that are no shares, or not one a source; or an empty source.
    """

    def __init__(self, sources: list[Source], weights: list[float]):
        if not sources or len(sources) != len(weights) or min(weights) <= 0:
            raise ValueError(f"{len(sources)} sources need as many weights above 0, not {weights}")
        if not all(map(len, sources)):
            raise ValueError("a source of the mixture is empty")
        self.sources = list(sources)
        epoch = max(len(source) / weight for source, weight in zip(sources, weights, strict=True))
        self.counts = [
            max(len(source), round(epoch * weight)) for source, weight in zip(sources, weights, strict=True)
        ]
        self.ends = list(accumulate(self.counts))
        self.faults = [fault for source in sources for fault in source.faults]
        for source, count in zip(sources, self.counts, strict=True):
            log.info(
                "%s of %d documents: %d an epoch, %.1f%% of the mixture",
                *(type(source).__name__, len(source), count, 100 * count / self.ends[-1]),
            )

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number = bisect_right(self.ends, index)
        source = self.sources[number]
        return source[(index - self.ends[number] + self.counts[number]) % len(source)]
