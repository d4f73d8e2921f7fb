"""Quantizers side by side, with the same network, data, steps and bits per image.

python benchmarks/quantizers.py [--data DIR ...] [--steps 1000] [--json FILE]

Each is trained by the code of train/tokenizer.py. DIR are folders of WebDataset shards; without one, scenes
of three objects are rendered.
"""

import tempfile
import time
from collections.abc import Sequence

import numpy as np
import torch
from compare import Row, command_line, finish
from torch import Tensor

from unitok.data.image_data import ImageData
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Concat, Source
from unitok.evaluate.metrics.reconstruction import ReconstructionMetrics
from unitok.modalities.image import to_image
from unitok.models.image_tokenizer.lookup_free import FSQLevels, LFQSigns
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.quantizer import QuantizerConfig
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, ResidualCodebooks, SimVQCodebook
from unitok.training.optimizers import OptimizerConfig
from unitok.training.run.trainer import RunFolder
from unitok.training.tokenizer import TokenizerTraining
from unitok.worlds.seeded import VALIDATION_SEED
from unitok.worlds.shapes.judge import image_is_right
from unitok.worlds.shapes.scenes import ShapesSource

KINDS: dict[str, QuantizerConfig] = {
    "EMA VQ": EMACodebook(1024, 16, decay=0.98, revive_below=0.1),
    "l2 VQ": EMACodebook(1024, 8, decay=0.98, revive_below=0.1, cosine=True),
    "FSQ 8 5 5 5": FSQLevels((8, 5, 5, 5)),
    "LFQ": LFQSigns(10),
    "SimVQ": SimVQCodebook(1024, 16),
    "residual 2 x 32": ResidualCodebooks(EMACodebook(32, 16, decay=0.98, revive_below=0.1), depth=2),
}
"""All with ten bits per cell (FSQ: 9.97)."""
UNITS = {"psnr": "dB", "ssim": "", "surviving_codes": "", "right": "", "codebook_usage": "", "perplexity": "",
         "steps a second": "1/s"}  # fmt: skip
"""Figures in the table, with their units."""


def sources(folders: Sequence[str]) -> tuple[Source, Source]:
    """Training and validation images."""
    if folders:
        return tuple(Concat([WebDataset(folder, split) for folder in folders]) for split in ("train", "val"))
    return (
        ShapesSource(canvas=64, kind="three", count=4000),
        ShapesSource(canvas=64, kind="three", count=256, first_seed=VALIDATION_SEED),
    )


def measure(name: str, data: ImageData, *, steps: int) -> list[Row]:
    """Train one kind and measure its reconstructions."""
    torch.manual_seed(0)
    patch = Patch(factor=8, channels=128, encoder_context=True)
    module = TokenizerTraining(patch, KINDS[name], optimizer=OptimizerConfig(lr=2e-3, betas=(0.9, 0.99)))
    with tempfile.TemporaryDirectory() as folder:
        trainer = RunFolder(
            default_root_dir=folder, export="image_tokenizer", max_steps=steps, max_epochs=-1,
            accelerator="cpu", precision="bf16-mixed", limit_val_batches=0, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False,
        )  # fmt: skip
        start = time.perf_counter()
        trainer.fit(module, data)
        seconds = time.perf_counter() - start
    metrics = ReconstructionMetrics(module.result.eval())
    data.setup("validate")
    decoded = [image for batch in data.val_dataloader() for image in metrics.update(batch)]
    figures = metrics.figures() | {"steps a second": steps / seconds} | judge(data.val, decoded)
    return [
        Row(f"{name}: {key}", figures[key], unit, None, None, True)
        for key, unit in UNITS.items()
        if key in figures
    ]


def judge(source: Source, decoded: Sequence[Tensor]) -> dict[str, float]:
    """The share of reconstructions of rendered scenes that show their captions."""
    if not isinstance(source, ShapesSource):
        return {}
    texts = [source[index][0].content for index in range(len(source))]
    pairs = zip(decoded, texts, strict=True)
    right = [image_is_right(np.asarray(to_image(pixels)), text) for pixels, text in pairs]
    return {"right": sum(right) / len(right)}


def main() -> None:
    parser = command_line(__doc__, threads=2)
    parser.add_argument("--data", nargs="*", default=[], metavar="DIR", help="folders of shards")
    parser.add_argument("--steps", type=int, default=1000, help="of each training (default 1000)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, val = sources(options.data)
    data = ImageData(train=train, val=val, size=(64, 64), batch_size=32)
    finish([row for name in KINDS for row in measure(name, data, steps=options.steps)], options.json)


if __name__ == "__main__":
    main()
