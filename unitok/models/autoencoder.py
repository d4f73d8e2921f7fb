"""The image tokenizer: pixels to a grid of codebook indices and back. Knows no captions and no joint ids.

A factor-f pixel-unshuffle brings the image to its code grid at once; all layers work there, where they are
cheap, and a pixel-shuffle leads back.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.quantizer import Quantized, Quantizer

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


@dataclass(frozen=True)
class ImageTokenizerConfig:
    """Sizes of an image tokenizer.

    Args:
        factor: pixels a side of one code's cell.
        codebook_size: number of codes.
        code_dim: channels of a code.
        channels: channels of the encoder's and decoder's layers.
        encoder_depth: residual blocks before the codes.
        encoder_context: whether the encoder sees neighbouring cells; without it equal cells get equal codes,
            which
            are easier to predict.
        decoder_depth: residual blocks after the codes; each sees its neighbours.
        beta: weight of the commitment term.
        decay: of the codebook's moving average.
        cosine: compare directions of codes instead of distances.
        learnable: train the codebook by its gradient instead of moving averages.
        revive_below: uses in a batch (moving average) below which a code restarts.
    """

    factor: int = 8
    codebook_size: int = 1024
    code_dim: int = 16
    channels: int = 128
    encoder_depth: int = 2
    encoder_context: bool = False
    decoder_depth: int = 4
    beta: float = 0.25
    decay: float = 0.99
    cosine: bool = False
    learnable: bool = False
    revive_below: float = 0.05

    def __post_init__(self):
        wrong = [
            f"{name}={getattr(self, name)}"
            for name in ("factor", "codebook_size", "code_dim", "channels")
            if getattr(self, name) < 1
        ]
        if wrong:
            raise ValueError(f"got {', '.join(wrong)}; expected whole numbers of at least 1")


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell, so that no cell learns of another by its statistics."""

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


class ImageTokenizer(nn.Module):
    """A VQ-VAE (van den Oord et al., arXiv:1711.00937) whose codes a transformer can read and write."""

    def __init__(self, config: ImageTokenizerConfig):
        super().__init__()
        self.config = config
        pixels, channels = 3 * config.factor**2, config.channels
        kernel = 3 if config.encoder_context else 1
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(config.factor),
            nn.Conv2d(pixels, channels, kernel, padding=kernel // 2),
            *(Residual(channels, kernel) for _ in range(config.encoder_depth)),
            ChannelNorm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, config.code_dim, 1),
        )
        self.quantizer = Quantizer(
            config.code_dim,
            config.codebook_size,
            beta=config.beta,
            decay=config.decay,
            cosine=config.cosine,
            learnable=config.learnable,
            revive_below=config.revive_below,
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(config.code_dim, channels, 3, padding=1),
            *(Residual(channels, 3) for _ in range(config.decoder_depth)),
            ChannelNorm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, pixels, 1),
            nn.PixelShuffle(config.factor),
        )
        self.to(memory_format=torch.channels_last)

    def latents(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        """Images in [-1, 1] as vectors before quantisation; H and W are multiples of the factor."""
        self._check_images(images)
        return self.encoder(images.contiguous(memory_format=torch.channels_last))

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Quantized:
        """Images in [-1, 1] as codes; always in fp32, as bf16 would change about 1 % of them."""
        with torch.autocast(images.device.type, enabled=False):
            return self.quantizer(self.latents(images.float()))

    def decode(self, codes: Int64[Tensor, "b h w"]) -> Float[Tensor, "b 3 H W"]:
        """Codes 0..codebook_size-1 as images in [-1, 1] of factor · (h, w) pixels."""
        return self.render(self.quantizer.lookup(codes)).clamp(-1, 1)

    def render(self, latents: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 H W"]:
        """Quantised vectors as the means of the pixels, not clamped."""
        weight = self.decoder[0].weight
        return self.decoder(latents.to(weight.dtype).contiguous(memory_format=torch.channels_last))

    def fingerprint(self) -> str:
        """sha256 of configuration and weights: codes of two tokenizers mix only where it is equal."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, each replaced only once it is whole."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        _replace(folder / WEIGHTS_FILE, save(tensors))
        _replace(folder / CONFIG_FILE, (json.dumps(asdict(self.config), indent=2) + "\n").encode())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "ImageTokenizer":
        """The tokenizer of a folder that `save_pretrained` wrote, ready for use (not training)."""
        folder = Path(folder)
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} is no image tokenizer: it has no {name}")
        tokenizer = cls(_read_config(folder / CONFIG_FILE))
        tokenizer.load_state_dict(_read_weights(folder / WEIGHTS_FILE, tokenizer.state_dict()))
        return tokenizer.eval()

    def _check_images(self, images: Tensor) -> None:
        shape, factor = tuple(images.shape), self.config.factor
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"got images of shape {shape}, expected [batch, 3, height, width]")
        if not all(side and side % factor == 0 for side in shape[2:]):
            raise ValueError(f"got images of {shape[2]}×{shape[3]} pixels, expected multiples of {factor}")


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there: a reader never sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _read_config(path: Path) -> ImageTokenizerConfig:
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    known = {field.name for field in fields(ImageTokenizerConfig)}
    if not isinstance(values, dict) or set(values) != known:
        odd = sorted(set(values) ^ known) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"{path} is no image tokenizer's configuration: missing or unknown {odd}")
    return ImageTokenizerConfig(**values)


def _read_weights(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, of just the expected names and shapes."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    for name in sorted(expected.keys() | tensors.keys()):
        came = tuple(tensors[name].shape) if name in tensors else "nothing"
        wanted = tuple(expected[name].shape) if name in expected else "nothing"
        if came != wanted:
            raise ValueError(f"{path}: tensor {name} has {came}, expected {wanted}")
    return tensors
