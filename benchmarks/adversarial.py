"""The same tokenizer with and without an adversary: finite losses, a balanced game, sharper images?

python benchmarks/adversarial.py [--data DIR ...] [--steps 400] [--out FILE.png] [--json FILE]

DIR are folders of WebDataset shards; without one, scenes of three objects are rendered. The image has a row
each of inputs, reconstructions without and with an adversary.
"""

import math
import tempfile

import torch
from compare import Row, command_line, finish
from jaxtyping import Float
from lightning.pytorch import Callback
from quantizers import sources
from torch import Tensor
from torchvision.utils import make_grid, save_image

from unitok.data.image_data import ImageData
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.loss_terms import MultiScaleGradients
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.image_tokenizer.vqgan import VQGAN
from unitok.training.adversary import AdversaryConfig
from unitok.training.loss_config import PixelLossConfig
from unitok.training.optimizers import OptimizerConfig
from unitok.training.run.trainer import RunFolder
from unitok.training.tokenizer import TokenizerTraining

MAX_SHOWN = 8


class Curves(Callback):
    """Records the loss of every batch and the discriminator's accuracy."""

    def __init__(self):
        self.losses: list[float] = []
        self.accuracy: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, *rest):
        self.losses.append(float(outputs["loss"]) if outputs else float("nan"))
        if "adversary/accuracy" in trainer.logged_metrics:
            self.accuracy.append(float(trainer.logged_metrics["adversary/accuracy"]))


def train(data: ImageData, *, steps: int, adversary: AdversaryConfig | None) -> tuple[ImageTokenizer, Curves]:
    """Train a small VQGAN, always from the same initial weights."""
    torch.manual_seed(0)
    sizes = VQGAN(channels=32, multipliers=(1, 2, 2, 4), blocks=1, attention_levels=(), z_channels=64)
    module = TokenizerTraining(
        sizes,
        EMACodebook(512, 16, decay=0.95, revive_below=0.1),
        optimizer=OptimizerConfig("adamw", lr=1e-3, betas=(0.9, 0.99), schedule="constant"),
        loss=PixelLossConfig(terms=[MultiScaleGradients(0.3)]),
        adversary=adversary,
    )
    curves = Curves()
    with tempfile.TemporaryDirectory() as folder:
        trainer = RunFolder(
            default_root_dir=folder, export="image_tokenizer", max_steps=steps, max_epochs=-1,
            accelerator="cpu", precision="bf16-mixed", limit_val_batches=0, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False, log_every_n_steps=1,
            callbacks=[curves],
        )  # fmt: skip
        trainer.fit(module, data)
    return module.result.eval(), curves


def sharpness(images: Float[Tensor, "b 3 h w"]) -> float:
    """Mean absolute difference between neighbouring pixels."""
    return float(images.diff(dim=2).abs().mean() + images.diff(dim=3).abs().mean())


def measure(data: ImageData, *, steps: int, out: str) -> list[Row]:
    """Train both, compare them, write the image."""
    adversary = AdversaryConfig(
        weight=0.5, learns_from=steps // 4, counts_from=steps // 3, channels=32, lr=5e-4
    )
    plain, _ = train(data, steps=steps, adversary=None)
    sharp, curves = train(data, steps=steps, adversary=adversary)
    data.setup("validate")
    images = next(iter(data.val_dataloader()))[:MAX_SHOWN]
    with torch.no_grad():
        rows = [images, *(t.decode(t.encode(images).codes) for t in (plain, sharp))]
    save_image(make_grid(torch.cat(rows) / 2 + 0.5, nrow=MAX_SHOWN), out)
    balanced = sum(0.55 <= a <= 0.95 for a in curves.accuracy) / max(1, len(curves.accuracy))
    finite = sum(map(math.isfinite, curves.losses))
    ratio = sharpness(rows[2]) / sharpness(rows[1])
    return [
        Row(
            "finite losses",
            float(finite),
            "batches",
            None,
            float(len(curves.losses)),
            finite == len(curves.losses),
        ),
        Row("accuracy within .55 and .95", balanced, "of the steps", None, 0.5, balanced > 0.5),
        Row("sharpness with / without", sharpness(rows[2]), "", ratio, 1.0, ratio > 1, f"see {out}"),
    ]


def main() -> None:
    parser = command_line(__doc__, threads=2)
    parser.add_argument("--data", nargs="*", default=[], metavar="DIR", help="folders of shards")
    parser.add_argument("--steps", type=int, default=400, help="of each training (default 400)")
    parser.add_argument("--out", default="adversarial.png", help="image to write (default adversarial.png)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, val = sources(options.data)
    data = ImageData(train=train, val=val, size=(64, 64), batch_size=8)
    finish(measure(data, steps=options.steps, out=options.out), options.json)


if __name__ == "__main__":
    main()
