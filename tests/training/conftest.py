"""What several tests of training share."""

from pathlib import Path

import pytest
import torch

from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory) -> Path:
    """The folder of an image tokenizer of 32 codes, as configs/transformer/tiny.yaml takes it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tokenizer") / "image_tokenizer"
    tokenizer = ImageTokenizer(ImageTokenizerConfig(Patch(channels=16), EMACodebook(32))).train()
    tokenizer.encode(torch.rand(8, 3, 48, 48) * 2 - 1)  # places the codes by k-means
    tokenizer.eval().save_pretrained(folder)
    return folder
