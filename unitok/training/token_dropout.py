"""Token dropout: replaces codes by noise in the input, so that the model leans on its prompt. Knows ids,
no model."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from unitok.tokens.vocabulary import Vocabulary


def drop_tokens(
    ids: Int64[Tensor, "b t"], vocabulary: Vocabulary, shares: Mapping[str, float], *, number: int
) -> Int64[Tensor, "b t"]:
    """Returns input ids with random codes replaced by padding.

    Args:
        ids: input ids of packed documents.
        vocabulary: of the ids.
        shares: share of a modality's codes that is hidden, 0 where absent; a document's first segment stays
            whole.
        number: number of the batch, which seeds the choice.
    """
    if not any(shares.values()):
        return ids
    generator = torch.Generator().manual_seed(number)
    later = after_first_segment(ids, vocabulary)
    for (
        name
    ) in vocabulary.modalities:  # all of them, so that the noise of one does not depend on another's share
        codes = vocabulary.codes(name)
        dropped = torch.rand(ids.shape, generator=generator).to(ids.device) < shares.get(name, 0.0)
        ids = torch.where(later & dropped & (ids >= codes.start) & (ids < codes.stop), vocabulary.pad, ids)
    return ids


def after_first_segment(ids: Int64[Tensor, "b t"], vocabulary: Vocabulary) -> Bool[Tensor, "b t"]:
    """Whether each position follows the end of its document's first segment, in packed rows."""
    ends = torch.tensor([vocabulary.end(name) for name in vocabulary.modalities], device=ids.device)
    ended = torch.isin(ids, ends).cumsum(dim=1)
    before = torch.where(ids == vocabulary.document_begin, ended, 0).cummax(dim=1).values
    return ended > before
