"""Emu3's architecture (arXiv:2409.18869), a VQGAN for clips: an image is the clip that repeats it.

Module names are those of transformers' Emu3VQVAE, so that reading its folders needs no dictionary. Knows no
codebook.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.image_tokenizer.vqgan import Downsample, GroupNorm, Upsample
from unitok.models.sizes import check_depths, check_sizes


@dataclass(frozen=True)
class Emu3(Architecture):
    """Sizes as in transformers' Emu3VQVAEConfig.

    Args:
        channels: channels of the finest level.
        multipliers: channels of each level, as multiples of `channels`.
        blocks: residual blocks per level and along time; the decoder has one more per level.
        attention_levels: levels (0 is the finest) with attention after each block.
        heads: attention heads.
        frames: length of the clip that represents an image; must be a power of 2.
        z_channels: channels of the latents, and of a code.
    """

    channels: int = 256
    multipliers: tuple[int, ...] = (1, 2, 2, 4)
    blocks: int = 2
    attention_levels: tuple[int, ...] = (3,)
    heads: int = 1
    frames: int = 4
    z_channels: int = 4

    def __post_init__(self):
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        object.__setattr__(self, "attention_levels", tuple(self.attention_levels))
        check_sizes(
            channels=self.channels,
            z_channels=self.z_channels,
            heads=self.heads,
        )
        check_depths(blocks=self.blocks, frames=self.frames)
        check_sizes(**{f"multipliers[{level}]": size for level, size in enumerate(self.multipliers)})
        if self.frames & (self.frames - 1):
            raise ValueError(f"frames must be a power of 2, got {self.frames}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def halvings(self) -> int:
        """Number of halvings along time until one frame is left."""
        return self.frames.bit_length() - 1

    @property
    def cell(self) -> int:
        return 2 ** (len(self.multipliers) - 1)

    def encoder(self, dim: int) -> nn.Module:
        return ClipEncoder(self, dim)

    def decoder(self, dim: int) -> nn.Module:
        return ClipDecoder(self, dim)


class ClipEncoder(nn.Module):
    """Each frame down the pyramid, then all of them along time into one grid."""

    def __init__(self, sizes: Emu3, dim: int):
        super().__init__()
        widths, z = sizes.widths, sizes.z_channels
        self.frames = sizes.frames
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down_block = nn.Module()
        self.down_block.down = nn.ModuleList(
            ClipLevel(
                [widths[max(i - 1, 0)], *[widths[i]] * sizes.blocks],
                sizes,
                attention=i in sizes.attention_levels,
            )
            for i in range(len(widths))
        )
        for level, width in zip(self.down_block.down[:-1], widths, strict=False):
            level.downsample = Downsample(width)
        self.middle_block = ClipMiddle(widths[-1], sizes)
        self.norm_out = GroupNorm(32, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], z, 3, padding=1)
        self.time_conv = nn.ModuleList(TimeHalf(z) for _ in range(sizes.halvings))
        self.time_res_stack = nn.ModuleList(TimeBlock(z) for _ in range(sizes.blocks))
        self.quant_conv = TimeConv(z, dim, (3, 1, 1))

    def forward(self, x: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        x = self.conv_in(x)  # all frames are equal before the layers along time
        for level in self.down_block.down:
            x = level(x)
        x = self.conv_out(F.silu(self.norm_out(self.middle_block(x))))
        x = x.unsqueeze(2).expand(-1, -1, self.frames, -1, -1)
        for conv in self.time_conv:
            x = F.silu(conv(x))
        for block in self.time_res_stack:
            x = block(x)
        return self.quant_conv(x).squeeze(2)


class ClipDecoder(nn.Module):
    """One grid, along time into frames, the first of which goes up the pyramid; all norms see the codes."""

    def __init__(self, sizes: Emu3, dim: int):
        super().__init__()
        widths, z, last = sizes.widths, sizes.z_channels, len(sizes.widths) - 1
        self.post_quant_conv = TimeConv(dim, z, (3, 1, 1))
        self.time_res_stack = nn.ModuleList(TimeBlock(z) for _ in range(sizes.blocks))
        self.time_conv = nn.ModuleList(TimeDouble(z) for _ in range(sizes.halvings))
        self.conv_in = nn.Conv2d(z, widths[-1], 3, padding=1)
        self.middle_block = ClipMiddle(widths[-1], sizes, condition_dim=dim)
        self.up_block = nn.Module()
        self.up_block.up = nn.ModuleList(
            ClipLevel(
                [widths[min(i + 1, last)], *[widths[i]] * (sizes.blocks + 1)],
                sizes,
                attention=i in sizes.attention_levels,
                condition_dim=dim,
            )
            for i in range(last + 1)
        )
        for level, width in zip(self.up_block.up[1:], widths[1:], strict=True):
            level.upsample = Upsample(width)
        self.norm_out = SpatialNorm(dim, widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, codes: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 H W"]:
        clip = codes.unsqueeze(2)
        x, condition = (self._first_frame(y) for y in (self.post_quant_conv(clip), clip))
        x = self.middle_block(self.conv_in(x), condition)
        for level in reversed(self.up_block.up):
            x = level(x, condition)
        return self.conv_out(F.silu(self.norm_out(x, condition)))

    def _first_frame(self, x: Float[Tensor, "b z 1 h w"]) -> Float[Tensor, "b z h w"]:
        for block in self.time_res_stack:
            x = block(x)
        for conv in self.time_conv:
            x = F.silu(conv(x))
        return x[:, :, 0]


class ClipLevel(nn.Module):
    """Residual blocks, optionally with attention after each, then a resize."""

    def __init__(
        self, widths: Sequence[int], sizes: Emu3, *, attention: bool, condition_dim: int | None = None
    ):
        super().__init__()
        attended = widths[1:] if attention else []
        self.block = nn.ModuleList(ClipBlock(a, b, condition_dim=condition_dim) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(HeadedAttention(width, sizes.heads) for width in attended)
        self.attn_norms = nn.ModuleList(_norm(width, condition_dim) for width in attended)
        self.downsample = self.upsample = nn.Identity()

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x, condition)
            if len(self.attn):
                x = x + self.attn[i](_apply_norm(self.attn_norms[i], x, condition))
        return self.upsample(self.downsample(x))


class ClipMiddle(nn.Module):
    """Two residual blocks on the coarsest grid with attention between them."""

    def __init__(self, width: int, sizes: Emu3, *, condition_dim: int | None = None):
        super().__init__()
        self.block_1 = ClipBlock(width, width, condition_dim=condition_dim)
        self.attn_1 = HeadedAttention(width, sizes.heads)
        self.attn_norm = _norm(width, condition_dim)
        self.block_2 = ClipBlock(width, width, condition_dim=condition_dim)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.block_1(x, condition)
        x = x + self.attn_1(_apply_norm(self.attn_norm, x, condition))
        return self.block_2(x, condition)


class ClipBlock(nn.Module):
    """Twice norm, silu and a 3 × 3 convolution, with a shortcut."""

    def __init__(self, width: int, out: int, *, condition_dim: int | None = None):
        super().__init__()
        self.norm1, self.norm2 = _norm(width, condition_dim), _norm(out, condition_dim)
        self.conv1 = nn.Conv2d(width, out, 3, padding=1)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(width, out, 1) if width != out else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        y = self.conv1(F.silu(_apply_norm(self.norm1, x, condition)))
        return self.nin_shortcut(x) + self.conv2(F.silu(_apply_norm(self.norm2, y, condition)))


class SpatialNorm(nn.Module):
    """A group norm whose scale and shift come from the codes at each place (MoVQ, arXiv:2209.09002)."""

    def __init__(self, condition_dim: int, width: int):
        super().__init__()
        self.norm_layer = GroupNorm(32, width, eps=1e-6)
        self.conv_y, self.conv_b = nn.Conv2d(condition_dim, width, 1), nn.Conv2d(condition_dim, width, 1)

    def forward(
        self, x: Float[Tensor, "b c u v"], condition: Float[Tensor, "b d h w"]
    ) -> Float[Tensor, "b c u v"]:
        condition = F.interpolate(condition, size=x.shape[2:], mode="nearest")
        return self.norm_layer(x) * self.conv_y(condition) + self.conv_b(condition)


class HeadedAttention(nn.Module):
    """Attention of every cell to every cell, with several heads."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        rows = x.flatten(2).mT
        q, k, v = (
            projection(rows).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out_proj(attended).mT.reshape(x.shape)


class TimeConv(nn.Module):
    """A convolution over (time, row, column) that is causal in time."""

    def __init__(self, width: int, out: int, kernel: tuple[int, int, int], *, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv3d(width, out, kernel, stride=(stride, 1, 1))
        margins = [(size // 2, size // 2) for size in (kernel[2], kernel[1])]
        self.padding = (*margins[0], *margins[1], 2, 0)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d u h w"]:
        return self.conv(F.pad(x, self.padding))


class TimeHalf(nn.Module):
    """Halves the number of frames."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = TimeConv(width, width, (4, 3, 3), stride=2)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c u h w"]:
        return self.conv(x)


class TimeDouble(nn.Module):
    """Repeats every frame, then a convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = TimeConv(width, width, (3, 3, 3))

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c u h w"]:
        return self.conv(torch.repeat_interleave(x, 2, dim=2))


class TimeBlock(nn.Module):
    """x + twice batch norm, silu and a convolution along time and space."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm3d(width), nn.BatchNorm3d(width)
        self.conv1, self.conv2 = TimeConv(width, width, (3, 3, 3)), TimeConv(width, width, (3, 3, 3))

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


def _norm(width: int, condition_dim: int | None) -> nn.Module:
    return GroupNorm(32, width, eps=1e-6) if condition_dim is None else SpatialNorm(condition_dim, width)


def _apply_norm(norm: nn.Module, x: Tensor, condition: Tensor | None) -> Tensor:
    return norm(x) if condition is None else norm(x, condition)
