"""Vector quantisation: each latent becomes its nearest code. Knows no picture.

The objective is that of VQ-VAE (van den Oord et al., arXiv:1711.00937, eq. 3): ‖sg[z_e] - z_q‖² moves the codes,
β‖z_e - sg[z_q]‖² the encoder, both as means over elements, and the decoder's gradient passes straight through to
z_e. By default the first term is served by exponential moving averages of the latents of each code (appendix A.1)
and only reported; `learnable=True` gives it to the optimizer.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize


class QuantizerLoss(NamedTuple):
    """The two quantisation terms and their weighted sum; `total` is what is minimised."""

    codebook: Float[Tensor, ""]
    commitment: Float[Tensor, ""]
    total: Float[Tensor, ""]


class Quantized(NamedTuple):
    """Quantised latents (with the straight-through gradient while training), their codes, and the loss."""

    latents: Float[Tensor, "b d h w"]
    codes: Int64[Tensor, "b h w"]
    loss: QuantizerLoss


class Quantizer(nn.Module):
    """A codebook of `size` vectors of `width` numbers.

    Args:
        size: number of codes.
        width: numbers of a code.
        beta: weight of the commitment term.
        decay: of the moving averages; ignored where `learnable`.
        dead_below: codes whose moving count falls below this many uses a batch are moved onto random latents.
        learnable: the codes are parameters with a gradient instead of moving averages.
        kmeans: place the codes by k-means on the first batch.
    """

    def __init__(
        self,
        *,
        size: int,
        width: int,
        beta: float = 0.25,
        decay: float = 0.99,
        dead_below: float = 0.1,
        learnable: bool = False,
        kmeans: bool = True,
    ):
        super().__init__()
        self.size, self.beta, self.learnable = size, beta, learnable
        self.vq = VectorQuantize(
            dim=width,
            codebook_size=size,
            decay=decay,
            threshold_ema_dead_code=dead_below,
            kmeans_init=kmeans,
            kmeans_iters=10,
            learnable_codebook=learnable,
            ema_update=not learnable,
            commitment_weight=0.0,
            rotation_trick=False,
        )

    @property
    def codebook(self) -> Float[Tensor, "k d"]:
        """The code vectors."""
        return self.vq._codebook.embed[0]

    def forward(self, latents: Float[Tensor, "b d h w"]) -> Quantized:
        """Quantise; while training this also updates the codebook (also under `no_grad`)."""
        flat = rearrange(latents, "b d h w -> (b h w) d").float()
        if self.training:
            codes = self.vq(flat)[1]
        else:
            codes = nearest(flat, self.codebook)
        chosen = F.embedding(codes, self.codebook)
        codebook = F.mse_loss(chosen, flat.detach()) if self.learnable else F.mse_loss(chosen, flat).detach()
        commitment = F.mse_loss(flat, chosen.detach())
        total = self.beta * commitment + (codebook if self.learnable else 0.0)
        through = flat + (chosen - flat).detach() if self.training else chosen
        size = {"b": latents.shape[0], "h": latents.shape[2]}
        return Quantized(
            rearrange(through, "(b h w) d -> b d h w", **size),
            rearrange(codes, "(b h w) -> b h w", **size),
            QuantizerLoss(codebook, commitment, total),
        )

    def lookup(self, codes: Int64[Tensor, "b h w"]) -> Float[Tensor, "b d h w"]:
        """Code vectors of indices. Raises ValueError for an index outside 0..size-1."""
        if codes.numel() and not (int(codes.min()) >= 0 and int(codes.max()) < self.size):
            wrong = int(codes.min()) if int(codes.min()) < 0 else int(codes.max())
            raise ValueError(f"code {wrong} is outside the codebook 0..{self.size - 1}")
        return rearrange(F.embedding(codes, self.codebook), "b h w d -> b d h w")


@torch.no_grad()
def nearest(
    latents: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], *, rows: int = 8192
) -> Int64[Tensor, " n"]:
    """Index of the nearest code of each latent, in float32: arg max of z·c - ‖c‖²/2, by chunks of `rows`."""
    codebook = codebook.float()
    half_norms = -0.5 * codebook.square().sum(dim=1)
    chunks = [torch.addmm(half_norms, part.float(), codebook.T).argmax(dim=1) for part in latents.split(rows)]
    return torch.cat(chunks)
