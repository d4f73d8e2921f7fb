"""Sampling settings and filters (temperature, top-k, top-p), and Gumbel noise by key. Knows no model and
no document."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unitok.device import widest_float

_GOLDEN, _MIX1, _MIX2 = (c - 2**64 for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Sampling:
    """How ids are drawn.

    Args:
        temperature: divides the logits; 0 takes the most likely id.
        top_k: draw among the k most likely ids only; None for all.
        top_p: draw among the fewest ids that hold this share of the probability only; None for all.
        guidance_scale: 1 is none; s moves the logits to `free + s · (prompted - free)`, where `free` has no
            prompt (classifier-free guidance, arXiv:2207.12598, for logits as in arXiv:2203.13131). Text is
            never guided.
        image_guidance_scale: how far the known pictures count, if not as far as the rest of the prompt: three
            branches, none, pictures, all (arXiv:2211.09800, eq. 3); at 1 the text alone guides.
        guidance_rescale: share of the way back to the standard deviation that the logits have without
            guidance (arXiv:2305.08891, eq. 15 and 16); 0 is none.
        max_new_tokens: longest text, in ids.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    guidance_scale: float = 1.0
    image_guidance_scale: float | None = None
    guidance_rescale: float = 0.0
    max_new_tokens: int = 256

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is 0 or more, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is 1 or more, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.guidance_scale < math.inf:
            raise ValueError(f"guidance_scale is 0 or more, not {self.guidance_scale}")
        if self.image_guidance_scale is not None and not 0 <= self.image_guidance_scale < math.inf:
            raise ValueError(f"image_guidance_scale is 0 or more, not {self.image_guidance_scale}")
        if not 0 <= self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale is a share from 0 to 1, not {self.guidance_rescale}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is 1 or more, not {self.max_new_tokens}")


def row_key(seed: int, prompt: Int64[Tensor, " t"], copy: int) -> int:
    """A signed 64-bit key of a row's noise: from the seed, the prompt's ids, and which of n copies it is."""
    digest = hashlib.sha256(f"{seed}/{copy}/{prompt.tolist()}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def gumbel(
    keys: Int64[Tensor, " b"], counters: Int64[Tensor, " b"], ids: Int64[Tensor, " n"]
) -> Float[Tensor, "b n"]:
    """Standard Gumbel noise as a pure function of (key, counter, id), by the splitmix64 finaliser.

    The same row draws the same noise whatever its batch, its neighbours or the other legal ids are.
    """
    state = _mix(keys + (counters + 1) * _GOLDEN)
    bits = _mix(state[:, None] + (ids[None, :] + 1) * _GOLDEN)
    exact = widest_float(keys.device)
    digits = 52 if exact is torch.float64 else 23  # and one more for the half below
    uniform = (_shift(bits, 64 - digits).to(exact) + 0.5) * 2.0**-digits
    return -(-uniform.log()).log().float()


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of signed 64-bit integers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def filtered(logits: Float[Tensor, "b n"], sampling: Sampling) -> Float[Tensor, "b n"]:
    """Logits below the largest, divided by the temperature; -inf where top_k or top_p rules an id out.

    Of ids that are as likely as each other the first ones are kept.
    """
    logits = logits - logits.amax(dim=-1, keepdim=True)  # so that no temperature takes one to infinity
    logits = logits / max(sampling.temperature, torch.finfo(logits.dtype).tiny)
    if sampling.top_k is not None and sampling.top_k < logits.shape[-1]:
        logits = logits.masked_fill(~_likeliest(logits, sampling.top_k), -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probability = ordered.softmax(dim=-1)
        before = probability.cumsum(dim=-1) - probability
        kept = ordered.masked_fill(before >= sampling.top_p, -torch.inf)
        logits = torch.full_like(logits, -torch.inf).scatter(-1, order, kept)
    return logits


def _likeliest(logits: Float[Tensor, "b n"], count: int) -> Bool[Tensor, "b n"]:
    """So many ids of each row, the likeliest; of those that are equally likely the first ones."""
    border = logits.topk(count, dim=-1).values[:, -1:]
    above, level = logits > border, logits == border
    return above | (level & (level.cumsum(dim=-1) <= count - above.sum(dim=-1, keepdim=True)))


Noise = Callable[[Int64[Tensor, " b"], Int64[Tensor, " b"], Int64[Tensor, " n"]], Float[Tensor, "b n"]]


def pick(
    logits: Float[Tensor, "b n"],
    ids: Int64[Tensor, " n"],
    sampling: Sampling,
    *,
    keys: Int64[Tensor, " b"],
    counters: Int64[Tensor, " b"],
    noise: Noise = gumbel,
) -> Int64[Tensor, " b"]:
    """One id a row, drawn from the filtered softmax by the Gumbel-max trick; the most likely one at
    temperature 0."""
    if sampling.temperature == 0:
        return ids[logits.argmax(dim=-1)]
    return ids[(filtered(logits, sampling) + noise(keys, counters, ids)).argmax(dim=-1)]
