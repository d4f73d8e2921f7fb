"""Classifier-free guidance: a weighted sum over branches that know less of the prompt. Knows no cache."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from unitok.document import Codes, Tokens
from unitok.generation.sampling import Sampling
from unitok.tokens.codec import Codec


class Branch(NamedTuple):
    """A document up to the begin of the segment that is written, and what its logits weigh."""

    tokens: Tokens
    weight: float


def branches(
    codec: Codec, known: Sequence[Codes], *, target: str, negative: Sequence[Codes], sampling: Sampling
) -> list[Branch]:
    """The branches of a segment, the one that knows everything first; their weights add up to one.

    The logits are `free + g · (pictures - free) + s · (all - pictures)` with s the guidance scale and g that
    of pictures (InstructPix2Pix, arXiv:2211.09800, eq. 3); branches that weigh nothing are left out, equal
    ones are one.
    """
    everything = codec.join(known, open=target)
    if codec.modalities[target].open_ended:
        return [Branch(everything, 1.0)]
    scale = sampling.guidance_scale
    pictures = sampling.image_guidance_scale
    pictures = scale if pictures is None else pictures
    alike = [codes for codes in known if codes.modality == target]
    found = [(everything, scale)]
    for part, weight in ((alike, pictures - scale), (negative, 1 - pictures)):
        tokens = codec.join(part, open=target) if weight else everything
        same = [i for i, (other, _) in enumerate(found) if torch.equal(other.ids, tokens.ids)]
        if same:
            found[same[0]] = (found[same[0]][0], found[same[0]][1] + weight)
        else:
            found.append((tokens, weight))
    return [Branch(*pair) for i, pair in enumerate(found) if pair[1] or i == 0]


def guided(
    logits: Float[Tensor, "branches b n"], weights: Sequence[float], *, rescale: float
) -> Float[Tensor, "b n"]:
    """Logits of all branches as one; `rescale` takes them that share of the way back to the deviation of the
    first branch's (arXiv:2305.08891, eq. 15 and 16)."""
    if len(weights) == 1:
        return logits[0]
    mixed = (logits * logits.new_tensor(weights)[:, None, None]).sum(0)
    if not rescale:
        return mixed
    ratio = logits[0].std(dim=-1, keepdim=True) / mixed.std(dim=-1, keepdim=True).clamp(min=1e-12)
    return mixed * (1 - rescale + rescale * ratio)
