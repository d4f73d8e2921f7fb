"""The fast architecture for small budgets: all layers work on the grid of codes. Knows no codebook."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.json_files import added_field
from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.sizes import check_depths, check_sizes


@dataclass(frozen=True)
class Patch(Architecture):
    """A pixel-unshuffle goes to the code grid at once, where layers are cheap, and a pixel-shuffle goes back.

    Args:
        factor: pixels per side of one code's cell.
        channels: channels of the encoder's and decoder's layers.
        encoder_depth: residual blocks before the codes.
        encoder_context: whether the encoder sees neighbouring cells; without it, its receptive field is one
            cell, and equal cells get equal codes, which are easier to predict.
        decoder_depth: residual blocks after the codes; each sees its neighbours.
        head_channels: channels of a hidden layer between these blocks and the pixels; 0 for none. A cell has
            more pixels than a block has channels, so that without it images are blurred.
    """

    factor: int = 8
    channels: int = 128
    encoder_depth: int = 2
    encoder_context: bool = False
    decoder_depth: int = 4
    head_channels: int = added_field(0)

    def __post_init__(self):
        check_sizes(factor=self.factor, channels=self.channels)
        check_depths(encoder_depth=self.encoder_depth + 1, decoder_depth=self.decoder_depth + 1)
        if type(self.head_channels) is not int or self.head_channels < 0:
            raise ValueError(f"head_channels must be an integer of at least 0, got {self.head_channels!r}")

    @property
    def cell(self) -> int:
        return self.factor

    def encoder(self, dim: int) -> nn.Module:
        kernel = 3 if self.encoder_context else 1
        return nn.Sequential(
            nn.PixelUnshuffle(self.factor),
            nn.Conv2d(3 * self.factor**2, self.channels, kernel, padding=kernel // 2),
            *(Residual(self.channels, kernel) for _ in range(self.encoder_depth)),
            ChannelNorm(self.channels),
            nn.SiLU(),
            nn.Conv2d(self.channels, dim, 1),
        )

    def decoder(self, dim: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(dim, self.channels, 3, padding=1),
            *(Residual(self.channels, 3) for _ in range(self.decoder_depth)),
            ChannelNorm(self.channels),
            nn.SiLU(),
            *self._head(),
            nn.PixelShuffle(self.factor),
        )

    def _head(self) -> list[nn.Module]:
        """The layers from a cell's channels to its pixels."""
        pixels, hidden = 3 * self.factor**2, self.head_channels
        if not hidden:
            return [nn.Conv2d(self.channels, pixels, 1)]
        return [nn.Conv2d(self.channels, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, pixels, 1)]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell, so that statistics do not leak between cells."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """x + mix(silu(spread(silu(norm(x))))): a `kernel` × `kernel` convolution, then a 1 × 1."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.spread = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.mix(F.silu(self.spread(F.silu(self.norm(x)))))
