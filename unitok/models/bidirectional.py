"""Attention in both directions inside parts of a document: its prefix, or each image that is seen. Knows ids
and slots, no layers.

A part is a number that its tokens share, and -1 outside of parts: tokens of one part see each other, whatever
their order, and all else stays causal. The numbers are a function of what is in the sequence, so training,
prompts and scores agree.
"""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Bool, Int64
from torch import Tensor

Bidirectional = Literal["none", "prefix", "images"]


def number_prefixes(
    ids: Int64[Tensor, "b t"], prefix: Bool[Tensor, "b t"] | None, *, vectors_from: int
) -> Int64[Tensor, "b t"] | None:
    """What a document shows before the first id that it writes (T5, arXiv:1910.10683, figure 4; PaliGemma,
    arXiv:2407.07726); None without a prefix."""
    return None if prefix is None else prefix.long() - 1


def number_images(
    ids: Int64[Tensor, "b t"], prefix: Bool[Tensor, "b t"] | None, *, vectors_from: int
) -> Int64[Tensor, "b t"] | None:
    """The vectors of each image, which are ids from `vectors_from` on; images that are written as codes stay
    causal, since each code is predicted from those before it. None without a vector.

    Example:
        >>> number_images(torch.tensor([[1, 8, 9, 2, 7]]), None, vectors_from=7)
        tensor([[-1,  0,  0, -1,  1]])
    """
    seen = ids >= vectors_from
    if not bool(seen.any()):
        return None
    begins = seen.clone()
    begins[:, 1:] &= ~seen[:, :-1]
    return (begins.cumsum(1) - 1).masked_fill(~seen, -1)


PARTS: dict[Bidirectional, Callable[..., Int64[Tensor, "b t"] | None]] = {
    "prefix": number_prefixes,
    "images": number_images,
}


def prefix_of(learned: Bool[Tensor, "b t"], document: Int64[Tensor, "b t"]) -> Bool[Tensor, "b t"]:
    """The tokens of each document up to the one whose next id is the first that is learned.

    Args:
        learned: whether the id after each token is.
        document: number of each token's document in its row, -1 for padding.

    Example:
        >>> prefix_of(torch.tensor([[0, 1, 1, 0, 1]]) > 0, torch.tensor([[0, 0, 0, 1, 1]]))
        tensor([[ True,  True, False,  True,  True]])
    """
    before = learned.cumsum(1) - learned.long()
    return (before == count_before_document(learned, document)) & (document >= 0)


def count_before_document(
    tokens: Bool[Tensor, "b t"], document: Int64[Tensor, "b t"]
) -> Int64[Tensor, "b t"]:
    """How many of some tokens of a row come before the document of each token.

    Example:
        >>> count_before_document(torch.tensor([[1, 0, 1, 1]]) > 0, torch.tensor([[0, 0, 1, 1]]))
        tensor([[0, 0, 1, 1]])
    """
    before = tokens.cumsum(1) - tokens.long()
    begins = document != document.roll(1, 1)
    begins[:, 0] = True
    return before.where(begins, 0).cummax(1).values


def same_part(parts: Int64[Tensor, "b t"], keys: Int64[Tensor, "b s"]) -> Bool[Tensor, "b 1 t s"]:
    """Which keys are in the part of each query."""
    return ((parts[:, :, None] == keys[:, None]) & (parts >= 0)[:, :, None]).unsqueeze(1)
