"""FSQ and LFQ: codes are levels or signs of the latents, without a codebook of vectors. Knows no pixels."""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ, LFQ

from unitok.models.image_tokenizer.quantizer import Quantized, Quantizer, QuantizerConfig, check_codebook
from unitok.models.sizes import check_depths

MARGIN = 1e-3
"""Widening of the bounds in the library's FSQ, by which the outermost levels can be reached."""


@dataclass(frozen=True)
class FSQLevels(QuantizerConfig):
    """Each channel is rounded to a few levels (finite scalar quantisation, arXiv:2309.15505): no loss.

    Args:
        levels: number of levels of each channel, at least 3; their product is the number of codes. The paper
            recommends 8 6 5 for about 2^8, 8 5 5 5 for 2^10, 7 5 5 5 5 for 2^12, 8 8 8 6 5 for 2^14.
    """

    levels: tuple[int, ...] = (8, 5, 5, 5)

    def __post_init__(self):
        if not self.levels or min(self.levels) < 3:
            raise ValueError(f"levels must be at least 3 for every channel, got {list(self.levels)}")
        check_codebook(size=prod(self.levels), dim=len(self.levels))

    def build(self) -> Quantizer:
        return FSQQuantizer(FSQ(list(self.levels)), size=prod(self.levels), dim=len(self.levels))


@dataclass(frozen=True)
class LFQSigns(QuantizerConfig):
    """A code is the signs of the latents (lookup-free quantisation, MAGVIT-v2, arXiv:2310.05737, eq. 5).

    Args:
        bits: number of channels; there are 2^bits codes.
        entropy_weight: weight of the entropy term: confident assignments, and uniform use of the codes.
        diversity: weight of the uniform use within the entropy term.
        beta: weight of the commitment term.
    """

    bits: int = 10
    entropy_weight: float = 0.1
    diversity: float = 1.0
    beta: float = 0.25

    def __post_init__(self):
        check_depths(bits=self.bits)
        check_codebook(size=2**self.bits, dim=self.bits)

    def build(self) -> Quantizer:
        module = LFQ(
            dim=self.bits,
            codebook_size=2**self.bits,
            entropy_loss_weight=self.entropy_weight,
            diversity_gamma=self.diversity,
            commitment_loss_weight=self.beta,
        )
        return ImplicitQuantizer(module, size=2**self.bits, dim=self.bits)


class ImplicitQuantizer(Quantizer):
    """FSQ or LFQ of vector-quantize-pytorch; the loss is the library's, zero for FSQ."""

    def __init__(self, module: nn.Module, *, size: int, dim: int):
        super().__init__()
        self.module, self.size, self.dim = module, size, dim

    def quantize(self, latents: Float32[Tensor, "b d h w"]) -> Quantized:
        quantized, codes, *rest = self.module(latents)
        return Quantized(quantized, codes.long(), rest[0] if rest else latents.new_zeros(()))

    def vectors(self, codes: Int64[Tensor, "b h n"]) -> Float32[Tensor, "b d h w"]:
        return self.module.indices_to_codes(codes)


class FSQQuantizer(ImplicitQuantizer):
    """Bounds each channel by a tanh scaled to the levels, then rounds it (arXiv:2309.15505, eq. 1)."""

    def to_code_space(self, latents: Float32[Tensor, "b d h w"]) -> Float32[Tensor, "b d h w"]:
        levels = self.module._levels.view(-1, 1, 1)
        half = (levels - 1) * (1 + MARGIN) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        return (torch.tanh(latents + torch.atanh(offset / half)) * half - offset) / (levels // 2)
