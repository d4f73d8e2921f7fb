"""The image tokenizer, a VQ-VAE: pixels to a grid of codebook indices and back. Knows no captions."""

import copy
import hashlib
import json

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unitok.models.image_tokenizer.folder import ImageTokenizerConfig, TokenizerFolder
from unitok.models.image_tokenizer.quantizer import Quantized


class ImageTokenizer(TokenizerFolder, nn.Module):
    """A VQ-VAE (van den Oord et al., arXiv:1711.00937) whose codes a transformer can read and write.

    Args:
        config: architecture and quantizer.
        device: device of the networks' initial weights; "meta" creates none, for weights that are loaded
            later.
    """

    def __init__(self, config: ImageTokenizerConfig, *, device: str = "cpu"):
        super().__init__()
        self.config = config
        self.quantizer = config.quantizer.build()  # has computed tables, so never on the meta device
        with torch.device(device):
            self.encoder = config.architecture.encoder(self.quantizer.dim)
            self.decoder = config.architecture.decoder(self.quantizer.dim)
        self._set_memory_format()

    def _set_memory_format(self) -> None:
        for weight in self.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    @property
    def cell(self) -> int:
        """Pixels per side of one code's cell."""
        return self.config.architecture.cell

    @property
    def codebook_size(self) -> int:
        """Number of codes, over all depths."""
        return self.quantizer.size

    @property
    def depth(self) -> int:
        """Codes per cell; more than one with a residual quantizer."""
        return self.quantizer.depth

    def latents(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        """Encode images in [-1, 1] as vectors before quantisation; H and W are multiples of the cell."""
        self._check_images(images)
        return self.encoder(images.to(self.dtype).contiguous(memory_format=torch.channels_last))

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Quantized:
        """Encode images in [-1, 1] as codes, in the precision of the weights even under autocast."""
        with torch.autocast(images.device.type, enabled=False):
            return self.quantizer(self.latents(images))

    def with_dtype(self, dtype: torch.dtype) -> "ImageTokenizer":
        """A copy whose networks compute in `dtype`; in bf16 one or two per cent of the codes change.

        Its fingerprint differs, so that the codes of both are never mixed.
        """
        copied = copy.deepcopy(self)
        copied.encoder.to(dtype)
        copied.decoder.to(dtype)
        return copied

    def decode(self, codes: Int64[Tensor, "b h n"]) -> Float[Tensor, "b 3 H W"]:
        """Decode codes 0..codebook_size-1 to images in [-1, 1] of cell · (h, w) pixels."""
        return self.render(self.quantizer.lookup(codes)).clamp(-1, 1)

    def render(self, latents: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 H W"]:
        """Decode quantised vectors to the means of the pixels, not clamped."""
        return self.decoder(latents.to(self.dtype).contiguous(memory_format=torch.channels_last))

    @property
    def last_weight(self) -> Tensor:
        """Weight of the decoder's last layer, where the gradients of loss terms are balanced."""
        return [weight for weight in self.decoder.parameters() if weight.ndim > 1][-1]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.decoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.decoder.parameters()).dtype

    def fingerprint(self, *, decoder: bool = True) -> str:
        """sha256 of configuration and weights; without the decoder, two tokenizers with equal fingerprints
        have interchangeable codes."""
        digest = hashlib.sha256(json.dumps(self.config.to_json(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            if name.startswith("decoder.") and not decoder:
                continue
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _check_images(self, images: Tensor) -> None:
        shape, cell = tuple(images.shape), self.cell
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"images must have shape [batch, 3, height, width], got {shape}")
        if not all(side and side % cell == 0 for side in shape[2:]):
            raise ValueError(
                f"height and width of images must be multiples of {cell}, got {shape[2]}×{shape[3]} pixels"
            )
