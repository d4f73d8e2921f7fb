"""The convolutional architecture of VQGAN (arXiv:2012.09841), which taming, LlamaGen, Chameleon and Janus
share.

Module names are those of taming's checkpoints, so that reading them needs no dictionary. Knows no codebook.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.sizes import check_depths, check_sizes


@dataclass(frozen=True)
class VQGAN(Architecture):
    """Residual blocks on a pyramid of levels; each level after the first halves the sides.

    Args:
        channels: channels of the finest level; every level must have a multiple of `groups`.
        multipliers: channels of each level, as multiples of `channels`.
        blocks: residual blocks per level; the decoder has one more.
        attention_levels: levels (0 is the finest) with attention after each block.
        middle_attention: attention between the two blocks on the coarsest grid.
        z_channels: channels between the pyramid and the 1 × 1 convolutions around the codes.
        groups: groups of the group norms.
        decodes: false for a checkpoint without a decoder, which can only encode images.
    """

    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    attention_levels: tuple[int, ...] = (4,)
    middle_attention: bool = True
    z_channels: int = 256
    groups: int = 32
    decodes: bool = True

    def __post_init__(self):
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        object.__setattr__(self, "attention_levels", tuple(self.attention_levels))
        check_sizes(channels=self.channels, z_channels=self.z_channels, groups=self.groups)
        check_depths(blocks=self.blocks)
        check_sizes(**{f"multipliers[{level}]": size for level, size in enumerate(self.multipliers)})
        if not self.multipliers or any(width % self.groups for width in self.widths):
            raise ValueError(
                f"channels of each level must be multiples of groups={self.groups}, got {list(self.widths)} "
                f"(channels={self.channels}, multipliers={list(self.multipliers)})"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def cell(self) -> int:
        return 2 ** (len(self.multipliers) - 1)

    def encoder(self, dim: int) -> nn.Module:
        return nn.Sequential(VQGANEncoder(self), nn.Conv2d(self.z_channels, dim, 1))

    def decoder(self, dim: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(dim, self.z_channels, 1), VQGANDecoder(self) if self.decodes else NoDecoder()
        )


class VQGANEncoder(nn.Module):
    """Pixels, level by level, to the coarsest grid."""

    def __init__(self, sizes: VQGAN):
        super().__init__()
        widths, last = sizes.widths, len(sizes.widths) - 1
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            Level(
                [widths[max(i - 1, 0)], *[widths[i]] * sizes.blocks],
                attention=i in sizes.attention_levels,
                groups=sizes.groups,
            )
            for i in range(last + 1)
        )
        for level, width in zip(self.down[:-1], widths, strict=False):
            level.downsample = Downsample(width)
        self.mid = Middle(widths[-1], attention=sizes.middle_attention, groups=sizes.groups)
        self.norm_out = GroupNorm(sizes.groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], sizes.z_channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b z h w"]:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class VQGANDecoder(nn.Module):
    """The coarsest grid, level by level, to pixels."""

    def __init__(self, sizes: VQGAN):
        super().__init__()
        widths, last = sizes.widths, len(sizes.widths) - 1
        self.conv_in = nn.Conv2d(sizes.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], attention=sizes.middle_attention, groups=sizes.groups)
        self.up = nn.ModuleList(
            Level(
                [widths[min(i + 1, last)], *[widths[i]] * (sizes.blocks + 1)],
                attention=i in sizes.attention_levels,
                groups=sizes.groups,
            )
            for i in range(last + 1)
        )
        for level, width in zip(self.up[1:], widths[1:], strict=True):
            level.upsample = Upsample(width)
        self.norm_out = GroupNorm(sizes.groups, widths[0], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, x: Float[Tensor, "b z h w"]) -> Float[Tensor, "b 3 H W"]:
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class NoDecoder(nn.Module):
    """Stands in for the decoder of a checkpoint that has none."""

    def forward(self, x: Float[Tensor, "b z h w"]) -> Float[Tensor, "b 3 H W"]:
        raise ValueError("this image tokenizer has no decoder: it can only encode images")


class Level(nn.Module):
    """Residual blocks from width to width, optionally with attention after each, then a resize."""

    def __init__(self, widths: Sequence[int], *, attention: bool, groups: int):
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(a, b, groups=groups) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(Attention(width, groups=groups) for width in widths[1:] if attention)
        self.downsample = self.upsample = nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d u v"]:
        for i, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[i](x)
        return self.upsample(self.downsample(x))


class Middle(nn.Module):
    """Two residual blocks on the coarsest grid, optionally with attention between them."""

    def __init__(self, width: int, *, attention: bool, groups: int):
        super().__init__()
        self.block_1 = ResidualBlock(width, width, groups=groups)
        self.attn_1 = Attention(width, groups=groups) if attention else nn.Identity()
        self.block_2 = ResidualBlock(width, width, groups=groups)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.block_2(self.attn_1(self.block_1(x)))


class GroupNorm(nn.GroupNorm):
    """Group norm that is accurate in fp32.

    With channels last, torch computes the variance as E x² − (E x)², which loses digits where the mean is
    large; so the means of the groups are subtracted first.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if x.dtype == torch.float32:
            means = x.mean(dim=(2, 3)).unflatten(1, (self.num_groups, -1)).mean(dim=2, keepdim=True)
            x = x - means.expand(-1, -1, x.shape[1] // self.num_groups).flatten(1)[:, :, None, None]
        return super().forward(x)


class ResidualBlock(nn.Module):
    """Twice norm, silu and a 3 × 3 convolution, with a shortcut."""

    def __init__(self, width: int, out: int, *, groups: int):
        super().__init__()
        self.norm1 = GroupNorm(groups, width, eps=1e-6)
        self.conv1 = nn.Conv2d(width, out, 3, padding=1)
        self.norm2 = GroupNorm(groups, out, eps=1e-6)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(width, out, 1) if width != out else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        y = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class Attention(nn.Module):
    """x + attention of every cell to every cell, with one head."""

    def __init__(self, width: int, *, groups: int):
        super().__init__()
        self.norm = GroupNorm(groups, width, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        y = self.norm(x)
        q, k, v = (projection(y).flatten(2).mT.unsqueeze(1) for projection in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(attended.squeeze(1).mT.reshape(x.shape))


class Downsample(nn.Module):
    """Halves the sides by a strided convolution, padded at the bottom and right only."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c u v"]:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the sides: nearest-neighbour upsampling, then a convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c u v"]:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
