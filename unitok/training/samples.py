"""Samples during training: drawings and captions, with their accuracy.

Knows only the model's public calls.
"""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from PIL import Image

from unitok.api.contact_sheet import sheet, write_png
from unitok.api.unitok import UniTok
from unitok.atomic_files import append_lines
from unitok.data.document_data import Example
from unitok.document import Codes
from unitok.evaluate.judged_sets import shapes_set
from unitok.evaluate.report import JudgedSet, measure
from unitok.training.run.callbacks import ByTheClock, in_eval_mode


class Samples(ByTheClock):
    """By the clock: drawings with prompts and captions with images, in TensorBoard and as PNG.

    Each image is captioned twice: from its codes, as in training, and from its pixels, as a user would pass
    it. If the captions differ, the image tokenizer does not encode its own images back to their codes.

    Args:
        count: number of drawings and of captions.
        seconds: between two times.
        progress: PNG file of drawings with their prompts and of images with the captions written for them,
            relative to the run's folder; None for none.
    """

    def __init__(self, count: int = 8, seconds: float = 60.0, progress: str | None = None):
        super().__init__(seconds, progress)
        self.count = count

    def show(self, trainer: Trainer, module: LightningModule) -> None:
        with model_for_inference(module) as model:
            if trainer.is_global_zero and (examples := trainer.datamodule.examples(self.count)):
                self._log_samples(trainer, model, examples)

    def _log_samples(self, trainer: Trainer, model: UniTok, examples: list[Example]) -> None:
        texts, codes, images = (list(column) for column in zip(*examples, strict=True))
        from_codes, from_pixels = _caption_codes(model, codes), model.caption(images)
        drawings = model.draw(texts, seed=range(len(texts)))
        self._log_sheet(trainer, "samples/drawn", sheet(drawings, texts))
        captions = zip(from_codes, from_pixels, strict=True)
        labels = [a if a == b else f"{a} [from pixels: {b}]" for a, b in captions]
        self._log_sheet(trainer, "samples/captioned", sheet(images, labels))
        title = "drawings of unseen prompts; unseen images and their captions"
        self.write_progress(trainer, title, [*drawings, *images], [*texts, *labels])
        rows = "\n".join(map(_markdown_row, zip(texts, from_codes, from_pixels, strict=True)))
        header = "true | written from codes | written from pixels\n---|---|---"
        trainer.logger.experiment.add_text("samples/captions", f"{header}\n{rows}", trainer.global_step)

    def _log_sheet(self, trainer: Trainer, tag: str, image: Image.Image) -> None:
        trainer.logger.experiment.add_image(tag, np.asarray(image), trainer.global_step, dataformats="HWC")
        write_png(Path(trainer.default_root_dir) / f"{tag.split('/')[1]}.png", image)


class ShapesAccuracy(Callback):
    """After each validation: caption and text-to-image accuracy on rendered scenes, seen and held out.

    Logged as `accuracy/…` and appended to `accuracy.jsonl` with the seconds of training so far.

    Args:
        canvas: side of a scene, in pixels.
        scenes: number of scenes in each set.
    """

    def __init__(self, canvas: int = 48, scenes: int = 128):
        self.scenes = scenes
        self.judged_sets: dict[str, JudgedSet] = {}
        self.canvas = canvas

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        with model_for_inference(module) as model:
            if trainer.is_global_zero:
                self._log_accuracy(trainer, model)

    def _log_accuracy(self, trainer: Trainer, model: UniTok) -> None:
        if not self.judged_sets:
            self.judged_sets = {
                prefix: shapes_set(canvas=self.canvas, count=self.scenes, held_out=bool(prefix))
                for prefix in ("", "heldout_")
            }
        figures: dict = {"step": trainer.global_step, "seconds": _training_seconds(trainer)}
        for prefix, judged_set in self.judged_sets.items():
            figures |= measure(model, judged_set, prefix=prefix).figures
        for name, value in figures.items():
            if name.endswith("accuracy"):
                trainer.logger.experiment.add_scalar(f"accuracy/{name}", value, trainer.global_step)
        append_lines(Path(trainer.default_root_dir) / "accuracy.jsonl", [json.dumps(figures)])


@contextmanager
def model_for_inference(module: LightningModule) -> Iterator[UniTok]:
    """A training module's model in eval mode; on exit, mode and random state are restored.

    All processes must enter it, since sharded weights are gathered.
    """
    state = torch.get_rng_state()
    with in_eval_mode(module):
        try:
            yield module.model_with_codec()
        finally:
            torch.set_rng_state(state)


def _markdown_row(texts: Iterable[str]) -> str:
    """A row of a Markdown table, with line breaks and bars in the texts escaped."""
    return " | ".join(" ".join(text.split()).replace("|", "\\|") for text in texts)


def _caption_codes(model: UniTok, images: list[Codes]) -> list[str]:
    """Greedy captions of images given as codes, without a detour through pixels."""
    documents = model.generate(
        [(codes,) for codes in images], target="text", temperature=0.0, guidance_scale=1.0
    )
    return [document[-1].content for document in documents]


def _training_seconds(trainer: Trainer) -> float:
    """Seconds of training so far, including those before the run was resumed."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    return round(timers[0].time_elapsed() if timers else time.monotonic(), 1)
