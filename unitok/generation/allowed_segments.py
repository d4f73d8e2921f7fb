"""Constrained decoding: the new segment is one of several given ones. Knows ids alone."""

from collections.abc import Sequence

from unitok.document import Codes
from unitok.tokens.codec import Codec


class Options:
    """Ways that a segment may be written.

    Args:
        codec: lays them out.
        segments: complete segments of one modality.
    """

    def __init__(self, codec: Codec, segments: Sequence[Codes]):
        self.modalities = {segment.modality for segment in segments}
        written = (codec.join([segment]).ids.tolist() for segment in segments)
        self._ways = [tuple(ids[2:-1]) for ids in written]  # without begins and the document's end

    @property
    def longest(self) -> int:
        """Ids of the longest one, its end included."""
        return max(map(len, self._ways))

    def after(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Ids that lead on to one of them from its first `ids`, in order.

        Example:
            of "yes" and "no", letter by letter, ("n", "y") after nothing and ("e",) after "y".
        """
        count = len(ids)
        return tuple(sorted({way[count] for way in self._ways if way[:count] == tuple(ids)}))
