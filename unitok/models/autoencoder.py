"""The image tokenizer: pixels <-> a grid of codebook indices. Knows no vocabulary and no training.

Pixels are folded into channels (pixel-unshuffle), so that every convolution runs on the small grid of codes; this is
what makes it fast on a CPU.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.quantizer import Quantized, Quantizer

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class ImageTokenizerConfig:
    """Sizes of an image tokenizer.

    Args:
        factor: pixels a side of one code's cell.
        channels: width of the convolutions.
        encoder_depth: residual blocks of the encoder.
        encoder_context: how many of them look one more cell around. With 0 a code depends on its own cell
            alone, so equal cells get equal codes, which makes them easy to predict.
        decoder_depth: residual blocks of the decoder.
        codebook_size: number of codes.
        code_width: numbers of a code.
        beta: weight of the commitment term.
        decay: of the codebook's moving averages.
        dead_below: a code used less often than this a batch is revived.
        learnable_codebook: train the codes by gradient instead of moving averages.
    """

    factor: int = 8
    channels: int = 128
    encoder_depth: int = 2
    encoder_context: int = 0
    decoder_depth: int = 4
    codebook_size: int = 512
    code_width: int = 16
    beta: float = 0.25
    decay: float = 0.95
    dead_below: float = 0.1
    learnable_codebook: bool = False


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell, so that no cell learns of another by its statistics."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """A `kernel` × `kernel` and a 1 × 1 convolution beside the identity."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.spread = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.mix(F.silu(self.spread(F.silu(self.norm(x)))))


class ImageTokenizer(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, config: ImageTokenizerConfig):
        super().__init__()
        self.config = config
        folded, width = 3 * config.factor**2, config.channels
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(config.factor),
            nn.Conv2d(folded, width, 1),
            *(ResidualBlock(width, 3) for _ in range(config.encoder_context)),
            *(ResidualBlock(width, 1) for _ in range(config.encoder_depth - config.encoder_context)),
            ChannelNorm(width),
            nn.SiLU(),
            nn.Conv2d(width, config.code_width, 1),
        )
        self.quantizer = Quantizer(
            size=config.codebook_size,
            width=config.code_width,
            beta=config.beta,
            decay=config.decay,
            dead_below=config.dead_below,
            learnable=config.learnable_codebook,
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(config.code_width, width, 3, padding=1),
            *(ResidualBlock(width, 3) for _ in range(config.decoder_depth)),
            ChannelNorm(width),
            nn.SiLU(),
            nn.Conv2d(width, folded, 1),
            nn.PixelShuffle(config.factor),
        )

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b 3 H W"], Quantized]:
        """Reconstructions and what was quantised on the way."""
        quantized = self.quantizer(self.encoder(self._checked(images)))
        return self.decoder(quantized.latents), quantized

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Quantized:
        """Codes of images in [-1, 1], always in float32 and without touching the codebook.

        Raises:
            ValueError: a side is not a multiple of `factor`.
        """
        training = self.quantizer.training
        with torch.autocast(images.device.type, enabled=False):
            latents = self.encoder(self._checked(images).to(self.codebook_dtype))
            quantized = self.quantizer.eval()(latents)
        self.quantizer.train(training)
        return quantized

    def decode(self, codes: Int64[Tensor, "b h w"]) -> Float[Tensor, "b 3 H W"]:
        """Images, about in [-1, 1]. Raises ValueError for a code outside the codebook."""
        return self.decoder(self.quantizer.lookup(codes))

    def _checked(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if height % self.config.factor or width % self.config.factor or not images.numel():
            raise ValueError(
                f"images of {height} x {width} pixels do not divide into cells of {self.config.factor}"
            )
        return images

    @property
    def codebook_dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.quantizer.codebook.dtype

    # -- one folder

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json and model.safetensors; each file is complete or absent."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        beside = directory / f".{WEIGHTS}.{os.getpid()}.part"
        save_file(weights, beside)
        os.replace(beside, directory / WEIGHTS)
        beside = directory / f".{CONFIG}.{os.getpid()}.part"
        beside.write_text(
            json.dumps({"model_type": "unitok_image_tokenizer", **asdict(self.config)}, indent=2) + "\n"
        )
        os.replace(beside, directory / CONFIG)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> "ImageTokenizer":
        """Load a folder that `save_pretrained` wrote, in evaluation mode.

        Raises:
            FileNotFoundError: the folder or a file is missing.
            ValueError: a file is damaged, or of another model.
        """
        directory = Path(directory)
        for name in (CONFIG, WEIGHTS):
            if not (directory / name).is_file():
                raise FileNotFoundError(f"{directory}: no image tokenizer here ({name} is missing)")
        model = cls(_read_config(directory / CONFIG))
        _load_weights(model, directory / WEIGHTS)
        return model.eval()

    def fingerprint(self) -> str:
        """Hash of config and weights; a store of codes belongs to one tokenizer."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def _read_config(path: Path) -> ImageTokenizerConfig:
    try:
        values = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(values, dict) or values.pop("model_type", None) != "unitok_image_tokenizer":
        raise ValueError(f"{path}: not the config of a unitok image tokenizer")
    unknown = set(values) - set(ImageTokenizerConfig.__dataclass_fields__)
    if unknown:
        raise ValueError(f"{path}: unknown field {sorted(unknown)[0]!r}")
    return ImageTokenizerConfig(**values)


def _load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model from a file; refuses the first tensor that is missing, foreign or of another shape."""
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged or not safetensors ({error})") from error
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ weights.keys()):
        raise ValueError(f"{path}: {name} is {'missing' if name in wanted else 'not part of this model'}")
    for name, value in wanted.items():
        if value.shape != weights[name].shape:
            raise ValueError(
                f"{path}: {name} is {tuple(weights[name].shape)}; the config says {tuple(value.shape)}"
            )
    model.load_state_dict(weights)
