"""Token dropout: replaces codes by noise in the input, so that the model leans on its prompt. Knows ids,
no model."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from unitok.tokens.vocabulary import Vocabulary


def partly_hidden(
    ids: Int64[Tensor, "b t"], words: Vocabulary, shares: Mapping[str, float], *, number: int
) -> Int64[Tensor, "b t"]:
    """Input ids with some codes replaced by padding, drawn by the number of the batch.

    Args:
        shares: of each modality's codes that are hidden; a document's first segment stays whole.
    """
    if not any(shares.values()):
        return ids
    generator = torch.Generator().manual_seed(number)
    later = after_first_segment(ids, words)
    for name, share in shares.items():
        codes = words.codes(name)
        drawn = torch.rand(ids.shape, generator=generator).to(ids.device) < share
        ids = torch.where(later & drawn & (ids >= codes.start) & (ids < codes.stop), words.pad, ids)
    return ids


def after_first_segment(ids: Int64[Tensor, "b t"], words: Vocabulary) -> Bool[Tensor, "b t"]:
    """Where a place comes after the end of its own document's first segment, in rows of packed documents."""
    ends = torch.tensor([words.end(name) for name in words.modalities], device=ids.device)
    ended = torch.isin(ids, ends).cumsum(dim=1)
    before = torch.where(ids == words.document_begin, ended, 0).cummax(dim=1).values
    return ended > before
