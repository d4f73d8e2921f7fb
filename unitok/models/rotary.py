"""Rotary position embedding with three axes (time, row, column). Knows angles, not tokens.

With equal coordinates on all axes this is exactly the one-dimensional rotary embedding (RoFormer,
arXiv:2104.09864, eq. 34); with different ones it is M-RoPE (Qwen2-VL, arXiv:2409.12191) with the axes
interleaved over the frequencies (Qwen3-VL, arXiv:2511.21631), so that each axis has fast and slow ones.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Sections = tuple[int, int, int]
"""The numbers of frequencies of time, rows and columns."""


def axis_of_frequency(frequencies: int, sections: Sections | None = None) -> Int64[Tensor, " f"]:
    """The axis of each frequency (0 time, 1 row, 2 column): time, row, column, time, row, column, …

    With `sections`, an axis has no more frequencies than its section; time has all that are left.
    """
    turns, axes = torch.arange(frequencies) // 3, torch.arange(frequencies) % 3
    return axes if sections is None else axes.where(turns < torch.tensor(sections)[axes], 0)


def rotary_angles(
    positions: Int64[Tensor, "*b t 3"], *, head_width: int, base: float, sections: Sections | None = None
) -> tuple[Float[Tensor, "*b t f"], Float[Tensor, "*b t f"]]:
    """Returns cosines and sines of every token's angles, in float32, one per pair of channels."""
    frequencies = head_width // 2
    speed = base ** (-torch.arange(frequencies, dtype=torch.float32, device=positions.device) / frequencies)
    axes = axis_of_frequency(frequencies, sections).to(positions.device)
    angles = positions.float().index_select(-1, axes) * speed
    # compiled code computes a stack once, but separate tensors again in every head of every layer
    return torch.stack((angles.cos(), angles.sin())).unbind()


def rotate(
    x: Float[Tensor, "b h t w"], cos: Float[Tensor, "b t f"], sin: Float[Tensor, "b t f"]
) -> Float[Tensor, "b h t w"]:
    """Rotate each pair (x_i, x_{i+w/2}) by its angle; computed in float32, returned in the dtype of `x`."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
