"""Samples during training: drawings and captions, with their accuracy.

Knows the model by its public calls alone.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

from unitok.api.unitok import UniTok
from unitok.atomic_files import append_lines
from unitok.contact_sheet import sheet, write_png
from unitok.data.modules import Example
from unitok.document import Codes
from unitok.evaluate.judged_sets import shapes_set
from unitok.evaluate.report import JudgedSet, measure


class Samples(Callback):
    """After each validation: drawings with prompts and captions with images, in TensorBoard and as PNG.

    Each image is captioned twice: from its codes, as training reads it, and from the pixels that these show,
    as a user would hand it in. Where the two differ, the image tokenizer does not read what it draws.

    Args:
        count: of each.
    """

    def __init__(self, count: int = 8):
        self.count = count

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        with undisturbed(module) as model:
            if trainer.is_global_zero and (examples := trainer.datamodule.examples(self.count)):
                self._look(trainer, model, examples)

    def _look(self, trainer: Trainer, model: UniTok, examples: list[Example]) -> None:
        texts, codes, images = (list(column) for column in zip(*examples, strict=True))
        by_codes, by_pixels = _captions(model, codes), model.caption(images)
        drawn = model.draw(texts, seed=range(len(texts)))
        self._show(trainer, "samples/drawn", sheet(drawn, texts))
        both = zip(by_codes, by_pixels, strict=True)
        written = [a if a == b else f"{a} [from pixels: {b}]" for a, b in both]
        self._show(trainer, "samples/captioned", sheet(images, written))
        rows = "\n".join(map(_row, zip(texts, by_codes, by_pixels, strict=True)))
        heads = "true | written from codes | written from pixels\n---|---|---"
        trainer.logger.experiment.add_text("samples/captions", f"{heads}\n{rows}", trainer.global_step)

    def _show(self, trainer: Trainer, tag: str, page) -> None:
        trainer.logger.experiment.add_image(tag, np.asarray(page), trainer.global_step, dataformats="HWC")
        write_png(Path(trainer.default_root_dir) / f"{tag.split('/')[1]}.png", page)


class ShapesAccuracy(Callback):
    """After each validation: the share of right captions and drawings of rendered scenes, seen and held out.

    Logged as `accuracy/…` and appended to `accuracy.jsonl` with the seconds of training so far.

    Args:
        canvas: pixels a side of a scene.
        scenes: judged of each kind.
    """

    def __init__(self, canvas: int = 48, scenes: int = 128):
        self.scenes = scenes
        self.worlds: dict[str, JudgedSet] = {}
        self.canvas = canvas

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        with undisturbed(module) as model:
            if trainer.is_global_zero:
                self._judge(trainer, model)

    def _judge(self, trainer: Trainer, model: UniTok) -> None:
        if not self.worlds:
            self.worlds = {
                prefix: shapes_set(canvas=self.canvas, count=self.scenes, held_out=bool(prefix))
                for prefix in ("", "heldout_")
            }
        figures: dict = {"step": trainer.global_step, "seconds": _seconds(trainer)}
        for prefix, world in self.worlds.items():
            figures |= measure(model, world, prefix=prefix).figures
        for name, value in figures.items():
            if name.endswith("accuracy"):
                trainer.logger.experiment.add_scalar(f"accuracy/{name}", value, trainer.global_step)
        append_lines(Path(trainer.default_root_dir) / "accuracy.jsonl", [json.dumps(figures)])


class undisturbed:
    """The model of a training module for use; on leaving, training goes on as if nothing was.

    All processes enter, since weights that are dealt out are gathered.
    """

    def __init__(self, module: LightningModule):
        self.module = module

    def __enter__(self) -> UniTok:
        self.state, self.training = torch.get_rng_state(), self.module.training
        self.module.eval()
        return self.module.bundle()

    def __exit__(self, *error) -> None:
        self.module.train(self.training)
        torch.set_rng_state(self.state)


def _row(texts: Iterable[str]) -> str:
    """Texts as a row of a table in Markdown, whatever is in them."""
    return " | ".join(" ".join(text.split()).replace("|", "\\|") for text in texts)


def _captions(model: UniTok, images: list[Codes]) -> list[str]:
    """The greedy captions of images by their codes, which pass no pixels."""
    documents = model.generate(
        [(codes,) for codes in images], target="text", temperature=0.0, guidance_scale=1.0
    )
    return [document[-1].content for document in documents]


def _seconds(trainer: Trainer) -> float:
    """Seconds of training so far, over all starts of the run."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    return round(timers[0].time_elapsed() if timers else time.monotonic(), 1)
