"""What several tests of training share."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from train.transformer import main
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.training.transformer import TransformerTraining

CONFIG = Path(__file__).parents[2] / "configs/transformer/tiny.yaml"


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory) -> Path:
    """The folder of an image tokenizer of 32 codes, as configs/transformer/tiny.yaml takes it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tokenizer") / "image_tokenizer"
    tokenizer = ImageTokenizer(ImageTokenizerConfig(Patch(channels=16), EMACodebook(32))).train()
    tokenizer.encode(torch.rand(8, 3, 48, 48) * 2 - 1)  # places the codes by k-means
    tokenizer.eval().save_pretrained(folder)
    return folder


class Recorder(Callback):
    """Keeps the loss and the gradient norm of every batch."""

    def __init__(self):
        self.rows: list[tuple[float, float]] = []

    def on_train_batch_end(self, trainer, *rest):
        self.rows.append(
            tuple(float(trainer.callback_metrics.get(n, "nan")) for n in ("loss", "gradient_norm"))
        )


@pytest.fixture(scope="module")
def fit(image_tokenizer):
    """Runs the tiny config into a folder; returns its CLI and every batch's loss and gradient norm."""

    def run(folder: Path, *more: str, steps: int = 6, config: Path = CONFIG):
        recorder = Recorder()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TransformerTraining, "configure_callbacks", lambda self: [recorder])
            cli = main([
                "fit", "--config", str(config), "--threads", "1", "--trainer.max_steps", str(steps),
                "--trainer.val_check_interval", "3", "--trainer.log_every_n_steps", "1",
                "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(folder),
                "--data.codec.image_tokenizer", str(image_tokenizer), *more,
            ])  # fmt: skip
        return cli, recorder.rows

    return run


@pytest.fixture
def train(fit, tmp_path):
    """Runs the tiny config into a folder of the test; returns the same."""
    return lambda folder, *more, **options: fit(tmp_path / folder, *more, **options)
