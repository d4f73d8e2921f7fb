"""Vectors to the nearest codes of a learned codebook and back. Knows no pixels and no files.

Wraps vector-quantize-pytorch, which owns the codebook, its k-means start, its moving averages and the
revival of dead codes; the loss is computed here, so that both of its terms keep their own weight.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize

ROWS = 8192  # vectors scored at once, so that the scores of a large codebook stay small


class Quantized(NamedTuple):
    """Quantised latents (straight-through in training), their codes, and the two quantisation terms' sum."""

    latents: Float[Tensor, "b d h w"]
    codes: Int64[Tensor, "b h w"]
    loss: Float[Tensor, ""]


def nearest(
    vectors: Float32[Tensor, "n d"], codebook: Float32[Tensor, "k d"], *, rows: int = ROWS
) -> Int64[Tensor, " n"]:
    """The index of each vector's nearest code in the Euclidean sense.

    argmin |z − e|² = argmax z·e − |e|²/2: one addmm a chunk of `rows` vectors, always in fp32 (bf16 scores
    pick another code in some per cent of cases).
    """
    with torch.autocast(vectors.device.type, enabled=False):
        offset = codebook.float().square().sum(dim=1).mul(-0.5)
        turned = codebook.float().t()
        chunks = [torch.addmm(offset, part.float(), turned).argmax(dim=1) for part in vectors.split(rows)]
    return torch.cat(chunks)


class Quantizer(nn.Module):
    """A codebook with ‖sg[z_e] − z_q‖² + β‖z_e − sg[z_q]‖² (van den Oord et al., arXiv:1711.00937, eq. 3).

    Both terms are means over elements. With the moving-average codebook (the paper's appendix A.1, default)
    the first is reported and has no gradient; with `learnable` it trains the codebook.

    Args:
        dim: channels of a code.
        size: number of codes.
        beta: weight of the commitment term.
        decay: of the codebook's moving average.
        cosine: compare directions: vectors and codes have length 1.
        learnable: train the codebook by its gradient.
        revive_below: codes used less often than this in a batch (moving average) restart at a vector of the
            batch.
    """

    def __init__(
        self,
        dim: int,
        size: int,
        *,
        beta: float = 0.25,
        decay: float = 0.99,
        cosine: bool = False,
        learnable: bool = False,
        revive_below: float = 0.0,
    ):
        super().__init__()
        if cosine and learnable:
            raise ValueError("a codebook is either cosine or learnable: the library behind it has no both")
        self.dim, self.size, self.beta, self.cosine = dim, size, beta, cosine
        self.vq = VectorQuantize(
            dim=dim,
            codebook_size=size,
            decay=decay,
            kmeans_init=True,
            use_cosine_sim=cosine,
            learnable_codebook=learnable,
            ema_update=not learnable,
            threshold_ema_dead_code=revive_below,
            commitment_weight=0.0,
            rotation_trick=False,
        )

    @property
    def codebook(self) -> Float32[Tensor, "k d"]:
        """The codes' vectors."""
        return self.vq.codebook

    def forward(self, latents: Float[Tensor, "b d h w"]) -> Quantized:
        """Quantise; in training also update the codebook, which the latents must not poison: they are
        finite."""
        with torch.autocast(latents.device.type, enabled=False):
            z_e = latents.float()
            z_e = F.normalize(z_e, dim=1) if self.cosine else z_e
            z_q, codes = self._assign(z_e)
            loss = F.mse_loss(z_q, z_e.detach()) + self.beta * F.mse_loss(z_e, z_q.detach())
            return Quantized(z_e + (z_q - z_e).detach(), codes, loss)

    def lookup(self, codes: Int64[Tensor, "b h w"]) -> Float32[Tensor, "b d h w"]:
        """The vectors of codes 0..size-1; others are an error, since indexing would accept negative ones."""
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.size:
            raise ValueError(
                f"got codes {int(codes.min())}..{int(codes.max())}, expected 0..{self.size - 1} "
                f"(a codebook of {self.size})"
            )
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)

    def stop_reviving(self) -> None:
        """Let rare codes be, so that the codebook settles."""
        self.vq._codebook.has_dead_code_replacement = False

    def _assign(self, z_e: Float32[Tensor, "b d h w"]) -> tuple[Tensor, Int64[Tensor, "b h w"]]:
        """Codes and their vectors before the codebook moves, with a gradient where it is learnable."""
        rows = z_e.detach().permute(0, 2, 3, 1)
        if self.training:
            z_q, codes, _ = self.vq(rows.flatten(1, 2))
            return z_q.view(rows.shape).permute(0, 3, 1, 2), codes.view(rows.shape[:3])
        codes = nearest(rows.reshape(-1, self.dim), self.codebook.detach()).view(rows.shape[:3])
        return self.lookup(codes), codes
