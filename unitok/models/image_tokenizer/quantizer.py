"""The Quantizer interface: latents to codes and back, for every kind of codebook. Knows no pixels.

The kinds are frozen dataclasses, each of which builds its module: `vector_quantizers.py` has the codebooks of
vectors, `lookup_free.py` those whose codes are signs or levels of the latents.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from unitok.models.sizes import check_sizes

LARGEST_CODEBOOK = 2**28
SCORES = 2**22  # of a chunk of vectors with every code: 16 MB, whatever the number of vectors and codes


class Quantized(NamedTuple):
    """Quantised latents (straight-through in training), their codes, and the quantiser's own loss.

    Where a cell has several codes (residual), they stand side by side: `codes` is [b, h, w · depth].
    """

    latents: Float[Tensor, "b d h w"]
    codes: Int64[Tensor, "b h n"]
    loss: Float[Tensor, ""]


class Quantizer(nn.Module, ABC):
    """Latents of `dim` channels to codes 0..size-1 and back.

    Of the `depth` codes of a cell, number d lies in d · size / depth and the following size / depth.
    """

    dim: int
    size: int
    depth: int = 1

    def forward(self, latents: Float[Tensor, "b d h w"]) -> Quantized:
        """Quantise, in fp32; in training also learn from the latents, which must be finite."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.quantize(latents.float())

    @abstractmethod
    def quantize(self, latents: Float32[Tensor, "b d h w"]) -> Quantized:
        """What `forward` does, for fp32 latents."""

    @abstractmethod
    def vectors(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        """What `lookup` does, for codes that are known to be legal."""

    def placed(self, latents: Float32[Tensor, "b d h w"]) -> Float32[Tensor, "b d h w"]:
        """Latents as they are compared with the codes' vectors."""
        return latents

    def lookup(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        """The latents of codes; others than 0..size-1 are an error, since indexing would accept negatives."""
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.size:
            raise ValueError(
                f"got codes {int(codes.min())}..{int(codes.max())}, expected 0..{self.size - 1} "
                f"(a codebook of {self.size})"
            )
        return self.vectors(codes)

    def stop_reviving(self) -> None:
        """Let rare codes be, so that the codebook settles; nothing where codes are never revived."""


class QuantizerConfig(ABC):
    """Sizes of a quantizer; the kinds are frozen dataclasses."""

    @abstractmethod
    def build(self) -> Quantizer:
        """The module."""


@contextmanager
def exact_products() -> Iterator[None]:
    """Products of float32 in float32, whatever precision a training allows others."""
    allowed = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(allowed)


def check_codebook(*, size: int, dim: int) -> None:
    """Raises ValueError where there is no such codebook, or none that a memory holds."""
    check_sizes(size=size, dim=dim)
    if size * dim > LARGEST_CODEBOOK:
        raise ValueError(f"got size={size}, dim={dim}: more than {LARGEST_CODEBOOK} numbers")


def nearest(
    vectors: Float32[Tensor, "n d"], codebook: Float32[Tensor, "k d"], *, scores: int = SCORES
) -> Int64[Tensor, " n"]:
    """The index of each vector's nearest code in the Euclidean sense.

    argmin |z − e|² = argmax z·e − |e|²/2: one addmm a chunk of at most `scores` numbers, always in fp32 (bf16
    scores pick another code in some per cent of cases, and a GPU's TF32 in some).
    """
    with torch.autocast(vectors.device.type, enabled=False), exact_products():
        offset = codebook.float().square().sum(dim=1).mul(-0.5)
        turned = codebook.float().t()
        parts = vectors.split(max(1, scores // len(codebook)))
        return torch.cat([torch.addmm(offset, part.float(), turned).argmax(dim=1) for part in parts])
