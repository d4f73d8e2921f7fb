"""Several sources in one, each with its share of the documents. Knows no format and no task."""

import logging
from itertools import accumulate

from unitok.data.readers.base import Source, Together
from unitok.document import Document

log = logging.getLogger(__name__)


class Mixture(Together):
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
        super().__init__(sources)
        epoch = max(len(source) / weight for source, weight in zip(sources, weights, strict=True))
        self.counts = [
            max(len(source), round(epoch * weight)) for source, weight in zip(sources, weights, strict=True)
        ]
        self.ends = list(accumulate(self.counts))
        for source, count in zip(sources, self.counts, strict=True):
            log.info(
                "%s of %d documents: %d an epoch, %.1f%% of the mixture",
                *(type(source).__name__, len(source), count, 100 * count / self.ends[-1]),
            )

    def __getitem__(self, index: int) -> Document:
        number, within = self._place(index)
        return self.sources[number][within % len(self.sources[number])]
