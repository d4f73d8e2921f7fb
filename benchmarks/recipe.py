"""Ablations of the demo's recipe: what settings of its transformer bring in the same time.

python benchmarks/recipe.py --codes CODES [--arm SETTING=VALUE …] [--minutes 2.5] [--seeds 0 1] [--json FILE]

An arm is configs/demo/transformer.yaml with settings of its own: `--arm model.optimizer.muon_lr=0.04
data.batch_size=32` is one, and --arm may be repeated. The config as it is comes first, and the arms of a seed
run in turn. Budgets are the processor's time of one thread, uncompiled; --steps compares steps, whatever else
the machine does. Losses are nats an id on 512 unseen scenes, of captions given their image and of images
given their caption.
"""

import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from compare import Row, command_line, finish
from directions import accuracies, losses
from jsonargparse import ArgumentParser, Namespace
from short_run import minutes_of_processor, short_run

from unitok.data.document_data import DocumentData
from unitok.data.tasks import Task
from unitok.training.class_paths import SOURCES, import_classes
from unitok.training.transformer import TransformerTraining

CONFIG = Path(__file__).parents[1] / "configs/demo/transformer.yaml"


def parser_of_a_run() -> ArgumentParser:
    """Reads the settings of a model and its data, as `unitok train-model` does."""
    import_classes(*SOURCES)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TransformerTraining, "model", sub_configs=True)
    parser.add_class_arguments(DocumentData, "data", sub_configs=True)
    return parser


def demo(codes: str, image_tokenizer: str) -> dict[str, Any]:
    """The demo's settings, uncompiled."""
    config = yaml.safe_load(CONFIG.read_bytes())
    config["model"]["compute"] = {"compile": False}
    config["data"]["train"] = codes
    config["data"]["val"]["init_args"]["count"] = 512
    config["data"]["codec"]["image_tokenizer"] = image_tokenizer
    return {name: config[name] for name in ("model", "data")}


def val_of(parser: ArgumentParser, settings: Namespace, task: Task) -> DocumentData:
    """The validation data of a task."""
    settings = settings.clone()
    settings.data.task.name = task
    return parser.instantiate(settings).data


def learn(
    arm: Sequence[str], seed: int, base: dict[str, Any], budget: dict[str, Any], *, count: int
) -> list[Row]:
    """Train and measure one arm."""
    parser, start = parser_of_a_run(), time.process_time()
    flags = [f"--{setting}" for setting in (*arm, f"data.seed={seed}")]
    settings = parser.parse_args(flags, namespace=parser.parse_object(base))
    torch.manual_seed(seed)
    run = parser.instantiate(settings)
    with tempfile.TemporaryDirectory() as folder:
        trainer = short_run(run.model, run.data, folder, budget)
        seconds = time.process_time() - start
        figures = losses(run.model, partial(val_of, parser, settings), folder)
        rate = f"{trainer.global_step} steps, {seconds:.0f} s of processor time"
        if count:
            figures |= accuracies(run.model, count=count)
    name = " ".join(arm) or "as it is"
    return [
        Row(f"{name}, seed {seed}: {key}", value, "", None, None, True, rate)
        for key, value in figures.items()
    ]


def main() -> None:
    parser = command_line(__doc__, threads=1)
    add = parser.add_argument
    add("--codes", default="runs/demo/codes", metavar="DIR", help="store of the demo's codes")
    add("--image-tokenizer", default="runs/demo/tokenizer/image_tokenizer", metavar="DIR", help="its own")
    add("--arm", nargs="+", action="append", default=[], metavar="SETTING=VALUE", help="an arm; repeatable")
    add("--minutes", type=float, default=2.5, help="of processor time of each run (default 2.5)")
    add("--steps", type=int, help="of each run, instead of minutes")
    add("--seeds", type=int, nargs="+", default=[0, 1], help="(default 0 1)")
    add("--count", type=int, default=200, help="judged scenes, 0 for none (default 200)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    base, rows = demo(options.codes, options.image_tokenizer), []
    for seed in options.seeds:
        for arm in ([], *options.arm):
            budget = {"max_steps": options.steps} if options.steps else minutes_of_processor(options.minutes)
            rows += learn(arm, seed, base, budget, count=options.count)
    finish(rows, options.json)


if __name__ == "__main__":
    main()
