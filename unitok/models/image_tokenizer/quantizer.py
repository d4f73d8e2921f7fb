"""The Quantizer interface: latents to codes and back, for every kind of codebook. Knows no pixels.

The configs are frozen dataclasses, each of which builds its module: `vector_quantizers.py` has the codebooks
of vectors, `lookup_free.py` those whose codes are signs or levels of the latents.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from unitok.models.sizes import check_sizes

MAX_CODEBOOK = 2**28
MAX_SCORES = 2**22  # of a chunk of vectors with every code: 16 MB, whatever the number of vectors and codes


class Quantized(NamedTuple):
    """Quantised latents (straight-through in training), their codes, and the quantiser's own loss.

    Where a cell has several codes (residual), they are adjacent: `codes` is [b, h, w · depth].
    """

    latents: Float[Tensor, "b d h w"]
    codes: Int64[Tensor, "b h n"]
    loss: Float[Tensor, ""]


class Quantizer(nn.Module, ABC):
    """Latents of `dim` channels to codes 0..size-1 and back.

    Code number d of a cell's `depth` codes is one of the size / depth codes from d · size / depth on.
    """

    dim: int
    size: int
    depth: int = 1

    def forward(self, latents: Float[Tensor, "b d h w"]) -> Quantized:
        """Quantise in fp32; in training also update the codebook from the latents, which must be finite."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.quantize(latents.float())

    @abstractmethod
    def quantize(self, latents: Float32[Tensor, "b d h w"]) -> Quantized:
        """`forward` for fp32 latents."""

    @abstractmethod
    def vectors(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        """`lookup` for valid codes, unchecked."""

    def to_code_space(self, latents: Float32[Tensor, "b d h w"]) -> Float32[Tensor, "b d h w"]:
        """Map latents to the space of the codes' vectors, where they are compared."""
        return latents

    def lookup(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        """Returns the vectors of codes. ValueError outside 0..size-1: indexing would accept negative ones."""
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.size:
            raise ValueError(
                f"codes must be in 0..{self.size - 1}, got {int(codes.min())}..{int(codes.max())}"
            )
        return self.vectors(codes)

    def stop_reviving(self) -> None:
        """Stop restarting rare codes, so that the codebook converges; no effect on codebooks without it."""


class QuantizerConfig(ABC):
    """Sizes of a quantizer; subclasses are frozen dataclasses."""

    @abstractmethod
    def build(self) -> Quantizer:
        """Build the module."""


@contextmanager
def exact_products() -> Iterator[None]:
    """Compute float32 products in full float32 precision, whatever the global setting allows."""
    allowed = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(allowed)


def check_codebook(*, size: int, dim: int) -> None:
    """Raises ValueError for a codebook of invalid size, or one too large for memory."""
    check_sizes(size=size, dim=dim)
    if size * dim > MAX_CODEBOOK:
        raise ValueError(f"size · dim must be at most {MAX_CODEBOOK}, got size={size}, dim={dim}")


def nearest(
    vectors: Float32[Tensor, "n d"], codebook: Float32[Tensor, "k d"], *, scores: int = MAX_SCORES
) -> Int64[Tensor, " n"]:
    """Returns the index of each vector's nearest code by Euclidean distance.

    argmin |z − e|² = argmax z·e − |e|²/2: one addmm per chunk of at most `scores` numbers, always in fp32
    (bf16 scores select another code in several per cent of cases, and TF32 in some).
    """
    with torch.autocast(vectors.device.type, enabled=False), exact_products():
        offset = codebook.float().square().sum(dim=1).mul(-0.5)
        transposed = codebook.float().t()
        chunks = vectors.split(max(1, scores // len(codebook)))
        return torch.cat([torch.addmm(offset, chunk.float(), transposed).argmax(dim=1) for chunk in chunks])
