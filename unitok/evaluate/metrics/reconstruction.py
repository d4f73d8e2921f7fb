"""Reconstruction by a tokenizer: PSNR, SSIM, Fréchet distance, codebook usage, surviving codes, speed."""

import time

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from unitok.evaluate.metrics.frechet import frechet_distance
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.pixel_loss import psnr
from unitok.models.image_tokenizer.tiles import decode_tiled, encode_tiled


class ReconstructionMetrics:
    """Accumulates reconstruction metrics of a tokenizer over batches of images.

    Args:
        tokenizer: encodes and decodes the images.
        inception: see `frechet_distance`.
        tile: side in cells of the tiles in which images are encoded; 0 encodes them whole.
    """

    def __init__(self, tokenizer: ImageTokenizer, *, inception: str | None = None, tile: int = 0):
        self.tokenizer, self.tile = tokenizer, tile
        self.distance_name, self.distance = frechet_distance(inception)
        self.distance.to(tokenizer.device)
        self.uses = torch.zeros(tokenizer.codebook_size, dtype=torch.long)
        self.sums = {"psnr": 0.0, "ssim": 0.0, "surviving_codes": 0.0}
        self.images, self.seconds = 0, 0.0

    @torch.no_grad()
    def update(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Add a batch, in float32 whatever the run's precision; returns the reconstructions."""
        with torch.autocast(images.device.type, enabled=False):
            return self._update(images)

    def _update(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        start = time.perf_counter()
        codes = self._encode(images)
        decoded = self._decode(codes)
        _synchronize(images.device)
        self.seconds += time.perf_counter() - start
        self._count(codes)
        surviving = self._encode(_to_bytes(decoded).to(images.dtype) / 127.5 - 1) == codes
        similarity = structural_similarity_index_measure(
            decoded, images, data_range=(-1.0, 1.0), reduction="none"
        )
        self.sums["psnr"] += float(psnr(images, decoded)) * len(images)
        self.sums["ssim"] += float(similarity.sum())
        self.sums["surviving_codes"] += float(surviving.cpu().double().mean()) * len(images)
        self.images += len(images)
        self.distance.update(_to_bytes(images), real=True)
        self.distance.update(_to_bytes(decoded), real=False)
        return decoded

    def _encode(self, images: Float[Tensor, "b 3 h w"]) -> Int64[Tensor, "b u v"]:
        if self.tile:
            return encode_tiled(self.tokenizer, images, tile=self.tile)
        return self.tokenizer.encode(images).codes

    def _decode(self, codes: Int64[Tensor, "b u v"]) -> Float[Tensor, "b 3 h w"]:
        if self.tile:
            return decode_tiled(self.tokenizer, codes, tile=self.tile)
        return self.tokenizer.decode(codes).float()

    def _count(self, codes: Int64[Tensor, "b h n"]) -> None:
        self.uses += torch.bincount(codes.flatten().cpu(), minlength=len(self.uses))

    def figures(self) -> dict[str, float]:
        """PSNR in dB, SSIM, share of codes that encode(decode(codes)) returns, Fréchet distance (of two or
        more images), codebook usage and perplexity, images per second."""
        if not self.images:
            raise ValueError("no image was measured")
        share = self.uses.double() / self.uses.sum()
        figures = {name: total / self.images for name, total in self.sums.items()}
        if self.images > 1:
            figures[self.distance_name] = float(self.distance.compute())
        return figures | {
            "codebook_usage": float((self.uses > 0).double().mean()),
            "perplexity": float((-(share * share.clamp(min=1e-12).log()).sum()).exp()),
            "pictures": float(self.images),
            "images_per_second": self.images / self.seconds,
        }


def _to_bytes(images: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def _synchronize(device: torch.device) -> None:
    """Wait for a GPU, whose calls return before they are done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
