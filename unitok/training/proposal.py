"""Proposes a tokenizer, a model and their training for a set of images and a budget. Trains nothing."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitok.data.set_facts import DataFacts
from unitok.training.run.budget import REPAID_AFTER

CELL = 8
"""Pixels per side of a code's cell; 4 for images of at most `SMALL` pixels."""
SMALL = 32
CODES_PER_ENTRY = 40
"""Cells of the training images per entry of the codebook: with fewer, entries stay unused."""
MOVED, MOST_COPIES = 5_000, 16
"""Images to which moved copies fill up a set, and the most of each: models of this size learn a few hundred
images by heart in some passes. Of 3,443 emoji two copies each were read and drawn worse than one."""
CAPTION_WEIGHT, HIDDEN = 2.0, 0.1
"""Of a text's ids in the loss, for they are few beside an image's codes; share of codes hidden as input."""
BYTES_PER_TOKEN = 2
"""Of rare texts, by a vocabulary that was trained on the set."""
BATCH = 32
TOKENIZER_SHARE, TRANSFORMER_SHARE = 0.25, 0.65
"""Of the minutes; the rest is for encoding, the evaluation and the start of each part."""


@dataclass(frozen=True)
class Proposal:
    """The settings of both trainings that depend on the set or the budget.

    Args:
        facts: about the set.
        size: side to which images are resized, in pixels.
        cell: pixels per side of a code's cell.
        codes: size of the codebook.
        channels: of the image tokenizer's layers.
        layers: of the transformer.
        copies: of each document, all but one moved.
        seconds: of training of the tokenizer and of the transformer.
        reasons: why, by the name of a setting.
    """

    facts: DataFacts
    size: int
    cell: int
    codes: int
    channels: int
    layers: int
    copies: int
    seconds: tuple[int, int]
    reasons: dict[str, str]

    @property
    def shift(self) -> int:
        """Pixels by which copies are moved at most."""
        return self.size // 16

    @property
    def foreground_weight(self) -> float:
        """Of pixels that differ from an even ground."""
        return 5.0 if self.facts.even > 0.5 else 1.0

    @property
    def compile(self) -> bool:
        """Whether compiling the transformer repays itself."""
        return self.seconds[1] >= REPAID_AFTER

    @property
    def text_size(self) -> int:
        """Maximum vocabulary of texts."""
        return min(1024, max(300, 256 + self.facts.distinct_texts))

    @property
    def max_new_tokens(self) -> int:
        """Most ids of a text."""
        return max(16, math.ceil(self.facts.longest_text / BYTES_PER_TOKEN))

    @property
    def row_length(self) -> int:
        """Ids per packed row, at least those of the longest document, and a multiple of 16."""
        images, texts = self.facts.largest
        longest = images * (self.side**2 + 4) + texts * (self.max_new_tokens + 4) + 4
        return max(96, -(-longest // 16) * 16)

    @property
    def side(self) -> int:
        """Cells per side of an image."""
        return self.size // self.cell

    def tokenizer_config(self, path: str, run: Path, *, validate_every: int) -> dict[str, Any]:
        """The settings of the image tokenizer's training, as in its YAML file.

        Args:
            path: of the set.
            run: the run's folder.
            validate_every: steps between two validations.
        """
        patch = {
            "factor": self.cell,
            "channels": self.channels,
            "head_channels": 512,
        }
        codebook = {"size": self.codes, "dim": 16, "decay": 0.97, "revive_below": 0.1}
        return {
            "trainer": _trainer(run, self.seconds[0], validate_every, "ReconstructionGrid"),
            "model": {
                "architecture": {"class_path": "Patch", "init_args": patch},
                "quantizer": {"class_path": "EMACodebook", "init_args": codebook},
                "optimizer": {"lr": 2e-3},
                "loss": {"foreground_weight": self.foreground_weight},
            },
            "data": {"path": path, "size": [self.size, self.size], "batch_size": BATCH},
        }

    def transformer_config(
        self, path: str, run: Path, image_tokenizer: Path, *, validate_every: int
    ) -> dict[str, Any]:
        """The settings of the transformer's training; arguments as in `tokenizer_config`."""
        sizes = {
            "width": 256, "layers": self.layers, "heads": 4, "kv_heads": 4, "head_width": 64, "hidden": 768,
            "rope_base": 100.0, "max_length": max(256, self.row_length),
        }  # fmt: skip
        codec = {"image_tokenizer": str(image_tokenizer), "image_shape": [self.side, self.side]}
        data = {"path": path, "codec": codec | {"text_size": self.text_size}, "row_length": self.row_length,
                "batch_size": BATCH}  # fmt: skip
        if self.copies > 1:
            data["transforms"] = {"augment": {"copies": self.copies, "mirror": False, "shift": self.shift}}
        drawing, losses = {"temperature": 0.7}, {}
        if self.facts.has_captions:
            # more tears detailed drawings apart; of few samples, models lean on what they know by heart
            drawing = {"temperature": 0.5, "guidance_scale": 2.5 if self.copies > 1 else 2.0}
            losses = {"text_weight": CAPTION_WEIGHT, "loss": {"token_dropout": {"image": HIDDEN}}}
        return {
            "trainer": _trainer(run, self.seconds[1], validate_every, "Samples"),
            "model": {
                "sizes": sizes,
                **losses,
                "optimizer": {"lr": 3e-3, "muon_lr": 0.02, "weight_decay": 0.1},
                "compute": {"compile": self.compile},
                "sampling": {
                    "image": drawing,
                    "text": {"temperature": 0.0, "max_new_tokens": self.max_new_tokens},
                },
            },
            "data": data,
        }


def _trainer(run: Path, seconds: int, validate_every: int, callback: str) -> dict[str, Any]:
    return {
        "default_root_dir": str(run),
        "max_time": _time(seconds),
        "max_epochs": -1,
        "precision": "bf16-mixed",
        "val_check_interval": validate_every,
        "callbacks": [{"class_path": callback, "init_args": {"seconds": 30, "progress": "../progress.png"}}],
    }


def propose(facts: DataFacts, *, minutes: float, size: int | None = None) -> Proposal:
    """The settings that fit a set and a budget of so many minutes.

    Raises:
        ValueError: there is no image, or `size` is no multiple of the cell.
    """
    if not facts.images:
        raise ValueError("no image to train on; configs/transformer/texts.yaml trains a model of texts alone")
    images, reasons = facts.images, {}
    if size is None:
        step = CELL if facts.side > SMALL else CELL // 2
        size = max(16, min(64 if minutes < 120 else 128, facts.side // step * step))
        reasons["size"] = f"the shorter side of half of the images is {facts.side} pixels or more"
    cell = CELL if size > SMALL else CELL // 2
    if size % cell:
        raise ValueError(f"--size must be a multiple of {cell} pixels, got {size}")
    cells = images * (size // cell) ** 2
    reasons["codes"] = f"{cells:,} cells to learn them from"
    reasons["foreground"] = (
        f"{facts.even:.0%} of the images are drawings on an even ground, whose lines would drown in it"
        if facts.even > 0.5
        else "the images are photographs, whose pixels weigh the same"
    )
    copies = max(1, min(MOST_COPIES, MOVED // images))
    if copies > 1:
        reasons["copies"] = f"{images:,} images are few: each is shown moved by some pixels, too"
    if facts.has_captions:
        reasons["captions"] = "a text is a few ids beside the many codes of its image"
    return Proposal(
        facts=facts,
        size=size,
        cell=cell,
        codes=max(64, min(1024, 2 ** round(math.log2(cells / CODES_PER_ENTRY)))),
        channels=128 if minutes < 10 else 192,
        layers=4 if minutes < 20 else 6,
        copies=copies,
        seconds=(round(minutes * 60 * TOKENIZER_SHARE), round(minutes * 60 * TRANSFORMER_SHARE)),
        reasons=reasons,
    )


def _time(seconds: int) -> str:
    """Seconds as the trainer reads them: days, hours, minutes, seconds."""
    minutes, hours = seconds // 60, seconds // 3600
    return f"{hours // 24:02d}:{hours % 24:02d}:{minutes % 60:02d}:{seconds % 60:02d}"
