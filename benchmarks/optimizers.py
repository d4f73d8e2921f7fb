"""Learning speed of optimizers and schedules on rendered scenes, and stability at three times the learning
rate.

python benchmarks/optimizers.py [--steps 3000] [--plot FILE.png] [--json FILE]

A small transformer learns the captions and codes of 2,000 scenes (codes of an untrained image tokenizer,
which are harder than a trained one's). Losses are those of the training batches, smoothed.
"""

import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import matplotlib
import torch
from compare import Row, command_line, finish
from lightning.pytorch import Callback

from unitok.data.codes.build_codec import train_text_tokenizer
from unitok.data.document_data import DocumentData
from unitok.modalities.image import ImageModality
from unitok.modalities.text import TextModality
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.lookup_free import FSQLevels
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.transformer_config import BlockVariant, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.training.loss_config import LossConfig
from unitok.training.optimizers import OptimizerConfig
from unitok.training.run.trainer import RunFolder
from unitok.training.transformer import TransformerTraining
from unitok.worlds.shapes.scenes import ShapesSource

SIZES = {
    "width": 64,
    "layers": 4,
    "heads": 4,
    "kv_heads": 4,
    "head_width": 16,
    "hidden": 192,
    "max_length": 96,
}
TUNED = {"lr": 3e-3, "muon_lr": 0.02, "warmup_steps": 50}
LEARNING = {
    "AdamW, cosine": {"name": "adamw", "schedule": "cosine"},
    "AdamW, wsd": {"name": "adamw", "schedule": "wsd"},
    "Muon, linear": {"name": "muon", "schedule": "linear"},
    "Muon, wsd": {"name": "muon", "schedule": "wsd"},
}
THRICE = {"name": "adamw", "schedule": "constant", "lr": 3 * TUNED["lr"]}
STABILITY = {
    "QK-norm and z-loss": THRICE,
    "no z-loss": THRICE | {"z_loss": 0.0},
    "no QK-norm": THRICE | {"qk_norm": False},
    "neither": THRICE | {"qk_norm": False, "z_loss": 0.0},
}


class Curve(NamedTuple):
    """Smoothed loss and root mean square of the image logits by step, and processor seconds per step."""

    loss: list[float]
    logits: list[float]
    seconds: float


class Recorder(Callback):
    """Records the logged metrics of every batch."""

    def __init__(self):
        self.loss, self.logits = [], []

    def on_train_batch_end(self, trainer, *rest):
        new = float(trainer.logged_metrics["loss"])
        self.loss.append(new if not self.loss else 0.98 * self.loss[-1] + 0.02 * new)
        self.logits.append(float(trainer.logged_metrics.get("logit_norm/image", float("nan"))))


def scenes(folder: str) -> DocumentData:
    """Batches of 16 documents."""
    torch.manual_seed(0)
    train = ShapesSource(canvas=48, kind="demo", count=2000)
    train_text_tokenizer(train, f"{folder}/tokenizer.json", size=300)
    tokenizer = ImageTokenizer(
        ImageTokenizerConfig(Patch(factor=8, channels=32), FSQLevels((8, 8, 4)))
    ).eval()
    text = TextModality.from_file(f"{folder}/tokenizer.json")
    codec = Codec([text, ImageModality(tokenizer, shape=(6, 6))])
    data = DocumentData(train=train, val=train, row_length=256, batch_size=16)
    data.codec = codec
    return data


def learn(data: DocumentData, *, steps: int, **changes) -> Curve:
    """Train once, from the same initial weights."""
    torch.manual_seed(0)
    options = TUNED | changes
    sizes = TransformerSizes(**SIZES, variant=BlockVariant(options.pop("qk_norm", True)))
    loss = LossConfig(z_loss=options.pop("z_loss", 1e-4))
    module = TransformerTraining(sizes, optimizer=OptimizerConfig(**options), loss=loss)
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()  # one thread; the machine may be busy
        module.export = lambda folder: None
        RunFolder(
            default_root_dir=folder, max_steps=steps, max_epochs=-1, accelerator="cpu", callbacks=[recorder],
            log_every_n_steps=1, limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False,
            use_distributed_sampler=False,
        ).fit(module, datamodule=data)  # fmt: skip
    return Curve(recorder.loss, recorder.logits, (time.process_time() - start) / steps)


def plot(curves: dict[str, dict[str, Curve]], path: str) -> None:
    """Plot the losses of both sets of runs, and the logits of the second."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    panels: list[tuple[str, str, Callable[[Curve], list[float]]]] = [
        ("learning", "loss, nats", lambda curve: curve.loss),
        ("three times the learning rate", "loss, nats", lambda curve: curve.loss),
        ("three times the learning rate", "root mean square of the image logits", lambda curve: curve.logits),
    ]
    for axis, (title, label, values) in zip(axes, panels, strict=True):
        for name, curve in curves[title].items():
            axis.plot(values(curve), label=name, linewidth=1)
        axis.set(title=title, xlabel="steps", ylabel=label)
        axis.legend()
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = command_line(__doc__, threads=1)
    parser.add_argument("--steps", type=int, default=3000, help="of each run (default 3000)")
    parser.add_argument("--plot", metavar="FILE", help="plot of the curves")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        data = scenes(folder)
        curves = {
            title: {name: learn(data, steps=options.steps, **changes) for name, changes in runs.items()}
            for title, runs in (("learning", LEARNING), ("three times the learning rate", STABILITY))
        }
    if options.plot:
        plot(curves, options.plot)
    base = curves["learning"]["AdamW, cosine"].loss[-1]
    rows = []
    for title, runs in curves.items():
        for name, curve in runs.items():
            reached = next((i for i, loss in enumerate(curve.loss) if loss <= base), None)
            when = (
                "not reached"
                if reached is None
                else f"AdamW's last loss after {reached * curve.seconds:.0f} s"
            )
            rows.append(Row(f"{title}: {name}", curve.loss[-1], "nats", None, None, True,
                            f"{when}; {curve.seconds * 1e3:.0f} ms a step"))  # fmt: skip
    finish(rows, options.json)


if __name__ == "__main__":
    main()
