"""Every architecture: any size that its cell divides, gradients everywhere, a folder that gives it back."""

import pytest
import torch

from unitok.models.image_tokenizer.emu3 import Emu3
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.lookup_free import FSQLevels
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.image_tokenizer.vqgan import VQGAN

KINDS = {
    "patch": Patch(factor=4, channels=12, encoder_depth=1, decoder_depth=1),
    "vqgan": VQGAN(
        channels=8, multipliers=(1, 2, 2), blocks=1, attention_levels=(2,), z_channels=8, groups=4
    ),
    "vqgan without attention": VQGAN(
        channels=8,
        multipliers=(1, 1, 2),
        blocks=1,
        attention_levels=(),
        middle_attention=False,
        z_channels=8,
        groups=4,
    ),
    "vit": ViT(factor=4, width=16, depth=1, heads=2, hidden=32),
    "emu3": Emu3(channels=32, multipliers=(1, 1, 1), blocks=1, attention_levels=(2,), heads=2),
}


@pytest.fixture(params=KINDS)
def tokenizer(request):
    torch.manual_seed(0)
    dim = 4 if request.param == "emu3" else 6
    tokenizer = ImageTokenizer(ImageTokenizerConfig(KINDS[request.param], EMACodebook(16, dim))).train()
    tokenizer.encode(torch.rand(4, 3, 16, 16) * 2 - 1)
    return tokenizer.eval()


@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 20), (24, 12)])
def test_any_multiple_of_the_cell_goes_there_and_back(tokenizer, height, width):
    out = tokenizer.encode(torch.rand(2, 3, height, width) * 2 - 1)
    assert out.codes.shape == (2, height // 4, width // 4)
    assert tokenizer.decode(out.codes).shape == (2, 3, height, width)


def test_other_sizes_are_refused(tokenizer):
    with pytest.raises(ValueError, match="multiples of 4, got 10×8 pixels"):
        tokenizer.encode(torch.zeros(1, 3, 10, 8))


def test_every_weight_gets_a_gradient(tokenizer):
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    out = tokenizer.train().encode(images)
    ((tokenizer.render(out.latents) - images).square().mean() + out.loss).backward()
    missing = [
        name for name, p in tokenizer.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert not missing


def test_a_image_is_the_same_in_any_batch(tokenizer):
    images = torch.rand(4, 3, 16, 24) * 2 - 1
    whole = tokenizer.latents(images)
    single = torch.cat([tokenizer.latents(image[None]) for image in images])
    torch.testing.assert_close(whole, single, atol=1e-4, rtol=0)


def test_a_folder_gives_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = ImageTokenizer.from_pretrained(tmp_path)
    assert again.config == tokenizer.config and again.fingerprint() == tokenizer.fingerprint()


def test_implicit_codes_go_with_any_architecture(tmp_path):
    tokenizer = ImageTokenizer(ImageTokenizerConfig(KINDS["vit"], FSQLevels((4, 3, 5)))).eval()
    tokenizer.save_pretrained(tmp_path)
    again, image = ImageTokenizer.from_pretrained(tmp_path), torch.rand(1, 3, 8, 8)
    assert torch.equal(again.encode(image).codes, tokenizer.encode(image).codes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VQGAN(channels=20), "multiples of groups=32"),
        (lambda: VQGAN(blocks=0), "blocks=0"),
        (lambda: ViT(width=18), "width must be a multiple of 4 and of heads=4, got 18"),
        (lambda: Emu3(frames=3), "frames must be a power of 2, got 3"),
        (lambda: Patch(factor=0), "factor=0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
