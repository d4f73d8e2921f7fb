"""Low-rank updates of matrices that only the vectors of images see: CogVLM's weights for images alone
(arXiv:2311.03079), in the cheap form of InternLM-XComposer2's partial LoRA (arXiv:2401.16420). Knows no ids.

Text is computed as without them, so that a language model which is held keeps its words, to the bit.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.cpu.linear import Linear


class VisualLinear(Linear):
    """A linear layer whose update starts as zero and is seen where an image is read."""

    def __init__(self, inputs: int, outputs: int, *, rank: int):
        super().__init__(inputs, outputs)
        self.visual_down = nn.Parameter(torch.empty(rank, inputs))
        self.visual_up = nn.Parameter(torch.empty(outputs, rank))

    def forward(
        self, x: Float[Tensor, "*b k"], places: Bool[Tensor, "*b 1"] | None = None
    ) -> Float[Tensor, "*b n"]:
        """`places` are those of images; None where there is none, which costs nothing."""
        y = super().forward(x)
        return y if places is None else y + F.linear(F.linear(x, self.visual_down) * places, self.visual_up)


def matrix_of(visual_rank: int) -> Callable[[int, int], Linear]:
    """What makes a block's matrices (inputs, outputs); a rank of 0 makes plain ones."""
    return partial(VisualLinear, rank=visual_rank) if visual_rank else Linear
