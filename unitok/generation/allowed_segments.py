"""Constrained decoding: the new segment is one of several given ones. Knows only ids."""

from collections.abc import Sequence

from unitok.document import Codes
from unitok.tokens.codec import Codec


class AllowedSegments:
    """A set of segments, as the sequences of ids that spell them.

    Args:
        codec: converts the segments to ids.
        segments: complete segments of one modality.
    """

    def __init__(self, codec: Codec, segments: Sequence[Codes]):
        self.modalities = {segment.modality for segment in segments}
        documents = (codec.join([segment]).ids.tolist() for segment in segments)
        self._spellings = [tuple(ids[2:-1]) for ids in documents]  # without begins and the document's end

    @property
    def max_length(self) -> int:
        """Number of ids of the longest segment, including its end."""
        return max(map(len, self._spellings))

    def next_ids(self, prefix: Sequence[int]) -> tuple[int, ...]:
        """Returns the ids that may follow `prefix`, sorted.

        Example:
            With "yes" and "no", letter by letter: ("n", "y") after nothing and ("e",) after "y".
        """
        count = len(prefix)
        return tuple(sorted({ids[count] for ids in self._spellings if ids[:count] == tuple(prefix)}))
