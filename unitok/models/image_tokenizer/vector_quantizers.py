"""Codebooks of vectors: EMA codebook, learned codebook, SimVQ, residual codebooks, Janus. Knows no pixels and
no files.

Wraps vector-quantize-pytorch, which owns the codebook, its k-means initialisation, its moving averages and
the revival of dead codes; the loss is computed here, so that each of its two terms has its own weight.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import SimVQ, VectorQuantize

from unitok.models.image_tokenizer.quantizer import (
    Quantized,
    Quantizer,
    QuantizerConfig,
    check_codebook,
    nearest,
)
from unitok.models.sizes import check_depths


@dataclass(frozen=True)
class VectorCodebook(QuantizerConfig):
    """Sizes of a codebook of vectors.

    Args:
        size: number of codes.
        dim: channels of a code.
        beta: weight of the commitment term.
    """

    size: int = 1024
    dim: int = 16
    beta: float = 0.25

    def __post_init__(self):
        check_codebook(size=self.size, dim=self.dim)


@dataclass(frozen=True)
class EMACodebook(VectorCodebook):
    """A codebook of moving averages (van den Oord et al., arXiv:1711.00937, appendix A.1).

    Args:
        size, dim, beta: see VectorCodebook.
        decay: decay of the moving averages.
        revive_below: uses in a batch (moving average) below which a code restarts at a vector of the batch.
        cosine: compare by cosine: vectors and codes have length 1 (ViT-VQGAN, arXiv:2110.04627).
    """

    decay: float = 0.99
    revive_below: float = 0.05
    cosine: bool = False

    def build(self) -> Quantizer:
        return VectorQuantizer(
            VectorQuantize(
                dim=self.dim,
                codebook_size=self.size,
                decay=self.decay,
                kmeans_init=True,
                use_cosine_sim=self.cosine,
                threshold_ema_dead_code=self.revive_below,
                commitment_weight=0.0,
                rotation_trick=False,
            ),
            beta=self.beta,
            cosine=self.cosine,
        )


@dataclass(frozen=True)
class LearnedCodebook(VectorCodebook):
    """A codebook trained by its own loss term (arXiv:1711.00937, eq. 3).

    Args:
        size, dim, beta: see VectorCodebook.
        revive_below: uses in a batch (moving average) below which a code restarts at a vector of the batch.
    """

    revive_below: float = 0.05

    def build(self) -> Quantizer:
        return VectorQuantizer(
            VectorQuantize(
                dim=self.dim,
                codebook_size=self.size,
                kmeans_init=True,
                learnable_codebook=True,
                ema_update=False,
                threshold_ema_dead_code=self.revive_below,
                commitment_weight=0.0,
                rotation_trick=False,
            ),
            beta=self.beta,
        )


@dataclass(frozen=True)
class SimVQCodebook(VectorCodebook):
    """Frozen random vectors through one learned linear map: all codes move together (arXiv:2411.02038).

    Args:
        size, dim, beta: see VectorCodebook.
    """

    def build(self) -> Quantizer:
        return MappedQuantizer(SimVQ(self.dim, self.size, rotation_trick=False), beta=self.beta)


@dataclass(frozen=True)
class JanusCodebook(VectorCodebook):
    """Codes are assigned by distance and decoded with length 1, as in transformers' Janus; they are fixed.

    Args:
        size, dim, beta: see VectorCodebook.
    """

    size: int = 16_384
    dim: int = 8

    def build(self) -> Quantizer:
        return JanusQuantizer(VectorQuantize(dim=self.dim, codebook_size=self.size), beta=self.beta)


@dataclass(frozen=True)
class ResidualCodebooks(QuantizerConfig):
    """Several codes per cell, each for the residual of the previous ones (RQ-VAE, arXiv:2203.01941).

    Args:
        codebook: codebook of each depth; the sizes of all depths add up.
        depth: codes per cell.
    """

    codebook: EMACodebook = EMACodebook()
    depth: int = 2

    def __post_init__(self):
        check_depths(depth=self.depth)

    def build(self) -> Quantizer:
        return ResidualQuantizer([self.codebook.build() for _ in range(self.depth)])


class VectorQuantizer(Quantizer):
    """A codebook with ‖sg[z_e] − z_q‖² + β‖z_e − sg[z_q]‖² (arXiv:1711.00937, eq. 3), means over elements.

    With moving averages the first term is reported but has no gradient; with a learned codebook it trains the
    codebook.

    Args:
        vq: the codebook.
        beta: weight of the commitment term.
        cosine: normalise latents to length 1 first.
    """

    def __init__(self, vq: VectorQuantize | SimVQ, *, beta: float, cosine: bool = False):
        super().__init__()
        self.vq, self.beta, self.cosine = vq, beta, cosine
        self.size, self.dim = vq.codebook.shape

    @property
    def codebook(self) -> Float32[Tensor, "k d"]:
        """The codes' vectors."""
        return self.vq.codebook

    def quantize(self, latents: Float32[Tensor, "b d h w"]) -> Quantized:
        z_e = self.to_code_space(latents)
        z_q, codes = self._assign(z_e)
        loss = F.mse_loss(z_q, z_e.detach()) + self.beta * F.mse_loss(z_e, z_q.detach())
        return Quantized(z_e + (z_q - z_e).detach(), codes, loss)

    def to_code_space(self, latents: Float32[Tensor, "b d h w"]) -> Float32[Tensor, "b d h w"]:
        return F.normalize(latents, dim=1) if self.cosine else latents

    def vectors(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)

    def stop_reviving(self) -> None:
        self.vq._codebook.has_dead_code_replacement = False

    def state_for(self, codebook: Float32[Tensor, "k d"]) -> dict[str, Tensor]:
        """Returns the state dict for a codebook trained elsewhere, from which moving averages continue."""
        codes = F.normalize(codebook, dim=1) if self.cosine else codebook
        buffers = {"embed": codes, "embed_avg": codes, "cluster_size": torch.ones(len(codes))}
        state = {f"vq._codebook.{name}": tensor[None].clone() for name, tensor in buffers.items()}
        return state | {"vq._codebook.initted": torch.tensor(True)}

    def _assign(self, z_e: Float32[Tensor, "b d h w"]) -> tuple[Tensor, Int64[Tensor, "b h w"]]:
        """Returns vectors and codes by the codebook before its update; learned vectors have a gradient."""
        rows = z_e.detach().permute(0, 2, 3, 1)
        if self.training:
            z_q, codes, _ = self.vq(rows.flatten(1, 2))
            return z_q.view(rows.shape).permute(0, 3, 1, 2), codes.view(rows.shape[:3])
        return self._nearest(rows)

    def _nearest(self, rows: Float32[Tensor, "b h w d"]) -> tuple[Tensor, Int64[Tensor, "b h w"]]:
        codes = nearest(rows.reshape(-1, self.dim), self.codebook.detach()).view(rows.shape[:3])
        return self.vectors(codes), codes


class MappedQuantizer(VectorQuantizer):
    """A vector quantizer whose codebook is a function of its weights, so that only gradients change it."""

    def __init__(self, vq: SimVQ, *, beta: float):
        super().__init__(vq, beta=beta)

    def stop_reviving(self) -> None:
        pass

    def _assign(self, z_e: Float32[Tensor, "b d h w"]) -> tuple[Tensor, Int64[Tensor, "b h w"]]:
        return self._nearest(z_e.detach().permute(0, 2, 3, 1))


class JanusQuantizer(VectorQuantizer):
    """A fixed codebook whose vectors are normalised to length 1 after assignment."""

    def vectors(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        return F.normalize(super().vectors(codes), dim=1)

    def _assign(self, z_e: Float32[Tensor, "b d h w"]) -> tuple[Tensor, Int64[Tensor, "b h w"]]:
        return self._nearest(z_e.detach().permute(0, 2, 3, 1))


class ResidualQuantizer(Quantizer):
    """The sum of the vectors of several quantizers of equal size, each of which gets the residual."""

    def __init__(self, quantizers: list[Quantizer]):
        super().__init__()
        self.quantizers = nn.ModuleList(quantizers)
        self.depth, self.dim = len(quantizers), quantizers[0].dim
        self.size = sum(quantizer.size for quantizer in quantizers)

    def quantize(self, latents: Float32[Tensor, "b d h w"]) -> Quantized:
        residual, total, codes, loss = latents, torch.zeros_like(latents), [], latents.new_zeros(())
        for quantizer in self.quantizers:
            step = quantizer.quantize(residual)
            vectors = step.latents.detach()
            residual, total, loss = residual - vectors, total + vectors, loss + step.loss
            codes.append(step.codes)
        return Quantized(latents + (total - latents).detach(), self._interleave(codes), loss)

    def vectors(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        """Raises ValueError where the codes of a cell are not one per depth, in order."""
        grids = codes.unflatten(2, (-1, self.depth)) - self._starts(codes)
        return sum(
            quantizer.lookup(grid) for quantizer, grid in zip(self.quantizers, grids.unbind(-1), strict=True)
        )

    def stop_reviving(self) -> None:
        for quantizer in self.quantizers:
            quantizer.stop_reviving()

    def _interleave(self, codes: list[Int64[Tensor, "b h w"]]) -> Int64[Tensor, "b h n"]:
        return (torch.stack(codes, dim=-1) + self._starts(codes[0])).flatten(2)

    def _starts(self, like: Tensor) -> Int64[Tensor, " depth"]:
        return torch.arange(self.depth, device=like.device) * (self.size // self.depth)
