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
    """Sampling settings of one modality.

    Args:
        temperature: divides the logits; 0 takes the most likely id.
        top_k: sample among the k most likely ids only; None for all.
        top_p: sample among the fewest ids that hold this share of the probability only; None for all.
        guidance_scale: 1 is none; s moves the logits to `free + s · (prompted - free)`, where `free` has no
            prompt (classifier-free guidance, arXiv:2207.12598, for logits as in arXiv:2203.13131). Text is
            never guided.
        image_guidance_scale: guidance scale of the images in the prompt, if it differs from that of the rest:
            three branches, none, images, all (arXiv:2211.09800, eq. 3); at 1 the text alone guides.
        guidance_rescale: share of the way back to the standard deviation that the logits have without
            guidance (arXiv:2305.08891, eq. 15 and 16); 0 is none.
        max_new_tokens: maximum length of a text, in ids.
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
            raise ValueError(f"temperature must be at least 0, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if not 0 <= self.guidance_scale < math.inf:
            raise ValueError(f"guidance_scale must be at least 0, got {self.guidance_scale}")
        if self.image_guidance_scale is not None and not 0 <= self.image_guidance_scale < math.inf:
            raise ValueError(f"image_guidance_scale must be at least 0, got {self.image_guidance_scale}")
        if not 0 <= self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale must be in [0, 1], got {self.guidance_rescale}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


def noise_key(seed: int, prompt: Int64[Tensor, " t"], copy: int, *, shown: bytes = b"") -> int:
    """Returns the signed 64-bit key of a sequence's noise, hashed from seed, prompt ids and copy number, and
    from the digest of the images that are `shown`."""
    digest = hashlib.sha256(f"{seed}/{copy}/{prompt.tolist()}".encode() + shown).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def gumbel(
    keys: Int64[Tensor, " b"], counters: Int64[Tensor, " b"], ids: Int64[Tensor, " n"]
) -> Float[Tensor, "b n"]:
    """Returns standard Gumbel noise, a pure function of (key, counter, id) by the splitmix64 finaliser.

    A sequence gets the same noise whatever its batch, its neighbours or the other legal ids are.
    """
    state = _mix(keys + (counters + 1) * _GOLDEN)
    bits = _mix(state[:, None] + (ids[None, :] + 1) * _GOLDEN)
    exact = widest_float(keys.device)
    digits = 52 if exact is torch.float64 else 23  # plus one for the half added below
    uniform = (_shift(bits, 64 - digits).to(exact) + 0.5) * 2.0**-digits
    return -(-uniform.log()).log().float()


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of signed 64-bit integers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def filter_logits(logits: Float[Tensor, "b n"], sampling: Sampling) -> Float[Tensor, "b n"]:
    """Returns logits minus their maximum, over the temperature; -inf where top_k or top_p excludes an id.

    Ties keep the first ids.
    """
    logits = logits - logits.amax(dim=-1, keepdim=True)  # keeps logits finite at any temperature
    logits = logits / max(sampling.temperature, torch.finfo(logits.dtype).tiny)
    if sampling.top_k is not None and sampling.top_k < logits.shape[-1]:
        logits = logits.masked_fill(~_top_k(logits, sampling.top_k), -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probability = ordered.softmax(dim=-1)
        before = probability.cumsum(dim=-1) - probability
        nucleus = ordered.masked_fill(before >= sampling.top_p, -torch.inf)
        logits = torch.full_like(logits, -torch.inf).scatter(-1, order, nucleus)
    return logits


def _top_k(logits: Float[Tensor, "b n"], count: int) -> Bool[Tensor, "b n"]:
    """Select the `count` most likely ids of each row; ties keep the first ids."""
    threshold = logits.topk(count, dim=-1).values[:, -1:]
    above, tied = logits > threshold, logits == threshold
    return above | (tied & (tied.cumsum(dim=-1) <= count - above.sum(dim=-1, keepdim=True)))


Noise = Callable[[Int64[Tensor, " b"], Int64[Tensor, " b"], Int64[Tensor, " n"]], Float[Tensor, "b n"]]


def sample_ids(
    logits: Float[Tensor, "b n"],
    ids: Int64[Tensor, " n"],
    sampling: Sampling,
    *,
    keys: Int64[Tensor, " b"],
    counters: Int64[Tensor, " b"],
    noise: Noise = gumbel,
) -> Int64[Tensor, " b"]:
    """Sample one id per row from the filtered softmax by the Gumbel-max trick; the most likely id at
    temperature 0."""
    if sampling.temperature == 0:
        return ids[logits.argmax(dim=-1)]
    return ids[(filter_logits(logits, sampling) + noise(keys, counters, ids)).argmax(dim=-1)]
