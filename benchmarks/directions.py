"""Cost and gain of learning both directions: captions only, drawings only, both, and both with all tasks.

python benchmarks/directions.py [--minutes 6 | --steps N] [--json FILE]

Four small transformers learn the same scenes from the same codes, each for the same time; "all tasks" also
gets questions, boxes, points and edits, so it sees fewer pairs. All share one vocabulary, and are measured on
the same unseen scenes and held-out compositions. Losses are nats per token, of captions given their image and
of images given their caption.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from compare import Row, command_line, finish
from short_run import minutes_of_processor, short_run

from unitok.data.codes.build_codec import build_codec, train_text_tokenizer
from unitok.data.document_data import DocumentData
from unitok.data.source import Concat, Source
from unitok.data.tasks import Task, TaskConfig
from unitok.evaluate.judged_sets import shapes_set
from unitok.evaluate.report import measure
from unitok.generation.sampling import Sampling
from unitok.models.transformer import TransformerSizes
from unitok.tokens.codec import Codec
from unitok.training.optimizers import OptimizerConfig
from unitok.training.run.trainer import RunFolder
from unitok.training.transformer import TransformerTraining
from unitok.worlds.seeded import VALIDATION_SEED
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks

CANVAS, SCENES, ROW = 48, 40_000, 160
SIZES = TransformerSizes(
    width=128, layers=4, heads=4, kv_heads=4, head_width=32, hidden=384, rope_base=100.0, max_length=320
)
SAMPLING = {
    "image": Sampling(temperature=0.6, guidance_scale=2.0),
    "text": Sampling(temperature=0.0, max_new_tokens=32),
}


class RunConfig(NamedTuple):
    """A run: the task of pairs, the learned directions, and whether other tasks are mixed in."""

    task: Task
    directions: tuple[str, ...]
    others: bool = False


RUNS = {
    "captions only": RunConfig("caption", ("caption",)),
    "drawings only": RunConfig("draw", ("image",)),
    "both": RunConfig("both", ("caption", "image")),
    "all tasks": RunConfig("both", ("caption", "image"), others=True),
}
LOSSES: dict[str, tuple[Task, str]] = {
    "caption": ("caption", "val/loss_text"),
    "image": ("draw", "val/loss_image"),
}


def scenes(*, others: bool, count: int = SCENES) -> Source:
    """Captions with their images, and tasks if `others`."""
    pairs = ShapesSource(canvas=CANVAS, count=count)
    return Concat([pairs, ShapesTasks(canvas=CANVAS, count=2 * count, turns=4)]) if others else pairs


def shared_codec(image_tokenizer: str, folder: str) -> Codec:
    """The codec of all runs."""
    train_text_tokenizer(scenes(others=True, count=1000), f"{folder}/tokenizer.json", size=400)
    return build_codec(
        image_tokenizer, f"{folder}/tokenizer.json", image_shape=(6, 6), locations=("box", "point")
    )


def data_of(codec: Codec, config: RunConfig) -> DocumentData:
    """The data of a run."""
    val = ShapesSource(canvas=CANVAS, count=512, first_seed=VALIDATION_SEED)
    task = TaskConfig(config.task, unprompted=("image",) if "image" in config.directions else ())
    data = DocumentData(train=scenes(others=config.others), val=val, row_length=ROW, batch_size=64, task=task)
    data.codec = codec
    return data


def learn(name: str, codec: Codec, budget: dict, *, count: int) -> list[Row]:
    """Train and measure one run."""
    config, start = RUNS[name], time.process_time()
    torch.manual_seed(0)
    optimizer = OptimizerConfig(lr=3e-3, muon_lr=0.02, weight_decay=0.1)
    module = TransformerTraining(SIZES, optimizer=optimizer, sampling=SAMPLING)
    with tempfile.TemporaryDirectory() as folder:
        trainer = short_run(module, data_of(codec, config), folder, budget)
        seconds = time.process_time() - start
        figures = accuracies(module, count=count) | losses(module, partial(val_of, codec), folder)
    spent = f"{trainer.global_step} steps, {seconds:.0f} s of processor time"
    return [
        Row(f"{name}: {key}", value, "", None, None, True, spent)
        for key, value in figures.items()
        if any(direction in key for direction in config.directions)
    ]


def accuracies(module: TransformerTraining, *, count: int) -> dict[str, float]:
    """Accuracies on unseen scenes and on held-out compositions, by the judge."""
    model, figures = module.model_with_codec(), {}
    for prefix, held_out in (("", False), ("heldout_", True)):
        judged_set = shapes_set(canvas=CANVAS, count=count, held_out=held_out)
        figures |= measure(model, judged_set, prefix=prefix).figures
    return {name: value for name, value in figures.items() if name.endswith("_accuracy")}


def val_of(codec: Codec, task: Task) -> DocumentData:
    """The validation data of a task."""
    return data_of(codec, RunConfig(task, ()))


def losses(
    module: TransformerTraining, val_of: Callable[[Task], DocumentData], folder: str
) -> dict[str, float]:
    """The loss of each direction given its prompt, learned or not; `val_of` gives the data of a task."""
    result = {}
    for direction, (task, figure) in LOSSES.items():
        data = val_of(task)
        trainer = RunFolder(
            default_root_dir=f"{folder}/{task}", accelerator="cpu", precision="bf16-mixed",
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        )  # fmt: skip
        (figures,) = trainer.validate(module, datamodule=data, verbose=False)
        result[f"{direction}_loss"] = figures[figure]
    return result


def main() -> None:
    parser = command_line(__doc__, threads=1)
    parser.add_argument("--minutes", type=float, default=6, help="of processor time of each run (default 6)")
    parser.add_argument("--steps", type=int, help="of each run, instead of minutes")
    parser.add_argument("--count", type=int, default=300, help="measured scenes (default 300)")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), help="default all four")
    parser.add_argument(
        "--image-tokenizer",
        default="runs/demo/tokenizer/image_tokenizer",
        metavar="DIR",
        help="image tokenizer with 8 pixels per code (default the demo's)",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not Path(options.image_tokenizer).is_dir():
        parser.error(f"{options.image_tokenizer}: not found: make demo trains an image tokenizer")
    budget = {"max_steps": options.steps} if options.steps else minutes_of_processor(options.minutes)
    with tempfile.TemporaryDirectory() as folder:
        codec = shared_codec(options.image_tokenizer, folder)
        rows = [row for name in options.runs for row in learn(name, codec, budget, count=options.count)]
    finish(rows, options.json)


if __name__ == "__main__":
    main()
