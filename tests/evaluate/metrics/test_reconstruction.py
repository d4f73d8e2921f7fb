"""Reconstruction metrics of a tokenizer: right values under right names."""

import pytest
import torch
from torch import nn
from torchmetrics.functional.image import peak_signal_noise_ratio

from unitok.evaluate.metrics.frechet import RandomFeatures, frechet_distance
from unitok.evaluate.metrics.reconstruction import ReconstructionMetrics
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.lookup_free import FSQLevels
from unitok.models.image_tokenizer.patch import Patch


@pytest.fixture
def tokenizer() -> ImageTokenizer:
    torch.manual_seed(0)
    return ImageTokenizer(ImageTokenizerConfig(Patch(factor=4, channels=8), FSQLevels((3, 3)))).eval()


def random_images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 24) * 2 - 1


def test_figures_are_those_of_the_reconstructions(tokenizer):
    metrics, batches = ReconstructionMetrics(tokenizer), [random_images(3), random_images(2)]
    again = [metrics.update(batch) for batch in batches]
    figures, codes = metrics.figures(), [tokenizer.encode(batch).codes.flatten() for batch in batches]
    psnr = [
        peak_signal_noise_ratio(b, a, data_range=2.0, dim=(1, 2, 3), reduction="none")
        for a, b in zip(batches, again, strict=True)
    ]
    assert figures["psnr"] == pytest.approx(torch.cat(psnr).mean().item(), abs=1e-3)
    assert figures["codebook_usage"] == pytest.approx(len(torch.cat(codes).unique()) / 9)
    counts = torch.bincount(torch.cat(codes), minlength=9) / sum(map(len, codes))
    assert figures["perplexity"] == pytest.approx(torch.special.entr(counts).sum().exp().item(), rel=1e-4)
    assert figures["pictures"] == 5 and figures["images_per_second"] > 0
    assert "frechet_random_features" in figures and "fid" not in figures


def test_codes_survive_by_the_pixels_that_a_file_keeps(tokenizer):
    metrics, images = ReconstructionMetrics(tokenizer), random_images(4)
    again = metrics.update(images)
    kept = ((again + 1) * 127.5).round() / 127.5 - 1
    survived = tokenizer.encode(kept).codes == tokenizer.encode(images).codes
    assert metrics.figures()["surviving_codes"] == pytest.approx(survived.double().mean().item())
    assert 0 < survived.double().mean() < 1


def test_a_perfect_tokenizer_has_no_distance(tokenizer):
    metrics = ReconstructionMetrics(tokenizer)
    tokenizer.decode = lambda codes: metrics.shown
    for _ in range(4):
        metrics.shown = random_images(8)
        metrics.update(metrics.shown)
    figures = metrics.figures()
    assert figures["ssim"] == pytest.approx(1, abs=1e-4) and figures["frechet_random_features"] < 1e-3
    assert figures["surviving_codes"] > 0.95  # but for the rounding to bytes


def test_the_surrogate_puts_noise_in_order():
    distances, images = [], nn.functional.avg_pool2d(torch.rand(64, 3, 66, 66), 3)
    for noise in (0.0, 0.05, 0.2):
        _, metric = frechet_distance(None)
        metric.update((images * 255).to(torch.uint8), real=True)
        spoilt = (images + noise * torch.randn_like(images)).clamp(0, 1)
        metric.update((spoilt * 255).to(torch.uint8), real=False)
        distances.append(metric.compute().item())
    assert distances[0] < distances[1] < distances[2]


def test_the_surrogate_is_always_the_same_network():
    images = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8)
    torch.manual_seed(1)
    first = RandomFeatures()(images)
    torch.manual_seed(2)
    assert torch.equal(RandomFeatures()(images), first)


def test_absent_weights_are_named(tokenizer):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth: not found"):
        ReconstructionMetrics(tokenizer, inception="absent.pth")


def test_nothing_measured_is_an_error(tokenizer):
    with pytest.raises(ValueError, match="no image was measured"):
        ReconstructionMetrics(tokenizer).figures()


def test_tiles_of_single_cells_change_no_code(tokenizer):
    images = random_images(2)
    whole, tiled = ReconstructionMetrics(tokenizer), ReconstructionMetrics(tokenizer, tile=9)
    assert tiled.update(images).shape == whole.update(images).shape
    assert torch.equal(tiled.uses, whole.uses)


def test_a_device_without_float64_measures_the_same(tokenizer, monkeypatch):
    images = random_images(4)
    expected, exact = ReconstructionMetrics(tokenizer), torch.Tensor.double
    expected.update(images)

    def only_here(tensor):
        assert type(tensor) is torch.Tensor, "Cannot convert a MPS Tensor to float64 dtype"
        return exact(tensor)

    monkeypatch.setattr(torch.Tensor, "double", only_here)
    found = ReconstructionMetrics(tokenizer)
    found._encode = lambda images, encode=found._encode: encode(images).as_subclass(Elsewhere)
    found._decode = lambda codes, decode=found._decode: decode(codes.as_subclass(torch.Tensor))
    found.update(images)
    assert found.figures()["surviving_codes"] == expected.figures()["surviving_codes"]


class Elsewhere(torch.Tensor):
    """On a device that has no float64, until it is brought to the CPU."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)
