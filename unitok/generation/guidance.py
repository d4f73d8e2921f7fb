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
    """A document up to the begin of the new segment, and the weight of its logits."""

    tokens: Tokens
    weight: float


def guidance_branches(
    codec: Codec, known: Sequence[Codes], *, target: str, negative: Sequence[Codes], sampling: Sampling
) -> list[Branch]:
    """Returns the branches for a new segment, the fully conditioned one first; their weights sum to one.

    The logits are `free + g · (images - free) + s · (all - images)`, where s is the guidance scale and g the
    image guidance scale (InstructPix2Pix, arXiv:2211.09800, eq. 3). Branches of weight zero are dropped, and
    equal ones are merged.
    """
    conditioned = codec.join(known, open=target)
    if codec.modalities[target].open_ended:
        return [Branch(conditioned, 1.0)]
    scale, image_scale = sampling.guidance_scale, sampling.image_guidance_scale
    image_scale = scale if image_scale is None else image_scale
    images = [codes for codes in known if codes.modality == target]
    branches = [Branch(conditioned, scale)]
    for segments, weight in ((images, image_scale - scale), (negative, 1 - image_scale)):
        tokens = codec.join(segments, open=target) if weight else conditioned
        same = [i for i, branch in enumerate(branches) if _are_equal(branch.tokens, tokens)]
        if same:
            branches[same[0]] = Branch(branches[same[0]].tokens, branches[same[0]].weight + weight)
        else:
            branches.append(Branch(tokens, weight))
    return [branch for i, branch in enumerate(branches) if branch.weight or i == 0]


def _are_equal(a: Tokens, b: Tokens) -> bool:
    return torch.equal(a.ids, b.ids) and a.digest == b.digest


def combine_branches(
    logits: Float[Tensor, "branches b n"], weights: Sequence[float], *, rescale: float
) -> Float[Tensor, "b n"]:
    """Returns the weighted sum of the branches' logits.

    `rescale` in 0..1 moves its standard deviation towards that of the first branch (arXiv:2305.08891, eq. 15
    and 16).
    """
    if len(weights) == 1:
        return logits[0]
    combined = (logits * logits.new_tensor(weights)[:, None, None]).sum(0)
    if not rescale:
        return combined
    ratio = logits[0].std(dim=-1, keepdim=True) / combined.std(dim=-1, keepdim=True).clamp(min=1e-12)
    return combined * (1 - rescale + rescale * ratio)
