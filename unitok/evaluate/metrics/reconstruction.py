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
    """Takes batches of pictures through a tokenizer and sums up.

    Args:
        tokenizer: who encodes and decodes.
        inception: see `frechet_distance`.
        tile: cells a side of the tiles in which pictures are taken; 0 takes them whole.
    """

    def __init__(self, tokenizer: ImageTokenizer, *, inception: str | None = None, tile: int = 0):
        self.tokenizer, self.tile = tokenizer, tile
        self.distance_name, self.distance = frechet_distance(inception)
        self.distance.to(tokenizer.device)
        self.uses = torch.zeros(tokenizer.codebook_size, dtype=torch.long)
        self.sums = {"psnr": 0.0, "ssim": 0.0, "surviving_codes": 0.0}
        self.pictures, self.seconds = 0, 0.0

    @torch.no_grad()
    def update(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Take in a batch, in fp32 whatever the run trains in; returns the reconstructions."""
        with torch.autocast(images.device.type, enabled=False):
            return self._update(images)

    def _update(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        started = time.perf_counter()
        codes = self._encode(images)
        again = self._decode(codes)
        _finish(images.device)
        self.seconds += time.perf_counter() - started
        self._count(codes)
        survived = self._encode(_bytes(again).to(images.dtype) / 127.5 - 1) == codes
        similarity = structural_similarity_index_measure(
            again, images, data_range=(-1.0, 1.0), reduction="none"
        )
        self.sums["psnr"] += float(psnr(images, again)) * len(images)
        self.sums["ssim"] += float(similarity.sum())
        self.sums["surviving_codes"] += float(survived.cpu().double().mean()) * len(images)
        self.pictures += len(images)
        self.distance.update(_bytes(images), real=True)
        self.distance.update(_bytes(again), real=False)
        return again

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
        """PSNR in dB, SSIM, share of codes that encode(decode(codes)) gives back, Fréchet distance (of two or
        more), use of the codes, images a second."""
        if not self.pictures:
            raise ValueError("no picture was measured")
        share = self.uses.double() / self.uses.sum()
        figures = {name: total / self.pictures for name, total in self.sums.items()}
        if self.pictures > 1:
            figures[self.distance_name] = float(self.distance.compute())
        return figures | {
            "codebook_usage": float((self.uses > 0).double().mean()),
            "perplexity": float((-(share * share.clamp(min=1e-12).log()).sum()).exp()),
            "pictures": float(self.pictures),
            "images_per_second": self.pictures / self.seconds,
        }


def _bytes(images: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def _finish(device: torch.device) -> None:
    """A GPU answers before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
