"""Samples per second from tars and Parquet against webdataset and HF datasets; a store against its images.

All sides decode the same JPEGs with Pillow to RGB, resize them to 64 x 64 pixels by the same call and read
the caption, in one process. Opening the data set is part of every pass. The last rows train at the size of
configs/transformer/tiny.yaml from a store, and report the share of time spent waiting for data and the speed
of the loop next to one with all batches in memory. Another row renders scenes.

python benchmarks/data.py [--training] [--json FILE]
"""

import logging
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from compare import Row, alternate, command_line, finish
from lightning.pytorch import Callback
from PIL import Image, ImageOps
from short_run import Clock
from torch.utils.data import DataLoader

from unitok.cli.lightning_cli import run
from unitok.data.codes.build_codec import build_codec, train_text_tokenizer
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData
from unitok.data.readers.tables import CaptionTable
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Source
from unitok.data.transforms.resize import Fit, Resized
from unitok.modalities.text import TEXT_TOKENIZER
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.training.transformer import TransformerTraining
from unitok.worlds.shapes.scenes import ShapesSource

ROOT = Path(__file__).parents[1]
SIDE = 64
SHARD = 500
BARS = {"tars": 1.0, "store": 20.0, "waiting": 0.03, "loop": 0.97, "rendering": 0.3}


# ---- the sets


def samples(count: int, side: int) -> Iterable[tuple[str, bytes, bytes]]:
    """Key, JPEG and caption of rendered scenes with noise like a camera's."""
    scenes, rng = ShapesSource(first_seed=0, count=count, canvas=side, kind="demo"), np.random.default_rng(0)
    for index in range(count):
        caption, image = scenes[index]
        noise = rng.normal(0, 6, (side, side, 3))
        noisy = Image.fromarray((np.asarray(image.content) + noise).clip(0, 255).astype(np.uint8))
        buffer = BytesIO()
        noisy.save(buffer, "JPEG", quality=90)
        yield f"{index:09d}", buffer.getvalue(), caption.content.encode()


def write_sets(folder: Path, count: int, side: int) -> None:
    """Write the same samples as tars and as one Parquet file."""
    import pyarrow
    import pyarrow.parquet

    records = list(samples(count, side))
    for start in range(0, count, SHARD):
        with tarfile.open(folder / f"train-{start // SHARD:06d}.tar", "w") as archive:
            for key, jpeg, caption in records[start : start + SHARD]:
                for suffix, content in (("jpg", jpeg), ("txt", caption)):
                    member = tarfile.TarInfo(f"{key}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, BytesIO(content))
    rows = [{"image": {"bytes": jpeg, "path": None}, "text": text.decode()} for _, jpeg, text in records]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "set.parquet", row_group_size=100)


# ---- one pass over them


def read_all(source: Source, count: int) -> None:
    """Read every document with this package."""
    resized = Resized(source, Fit(SIDE, SIDE))
    images = [resized[index][1].content for index in range(len(resized))]
    _check(images, count)


def peer_tars(folder: Path, count: int) -> None:
    """Read every sample with webdataset."""
    import webdataset

    shards = sorted(map(str, folder.glob("*.tar")))
    pairs = webdataset.WebDataset(shards, shardshuffle=False).decode("pilrgb").to_tuple("jpg", "txt")
    _check([_fit(image) for image, _ in pairs], count)


def peer_rows(rows: Iterable[dict], count: int) -> None:
    """Read every row with HF datasets."""
    _check([_fit(row["image"].convert("RGB")) for row in rows if row["text"]], count)


def stream(file: Path) -> Iterable[dict]:
    """The Parquet file as a stream of HF datasets that decodes its images."""
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(file), split="train", streaming=True)
    return rows.cast_column("image", datasets.Image())


def _fit(image: Image.Image) -> Image.Image:
    return ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC)


def _check(images: list[Image.Image], count: int) -> None:
    assert len(images) == count and all(i.size == (SIDE, SIDE) and i.mode == "RGB" for i in images)


# ---- rows


def compare(name: str, ours: Callable, theirs: Callable, *, count: int, rounds: int, bar: float, peer: str):
    """Samples per second of both sides, as a row."""
    seconds = alternate(ours, theirs, rounds=rounds)
    ratio = seconds.theirs / seconds.ours
    remark = f"{peer}: {count / seconds.theirs:.0f} samples/s"
    return Row(name, count / seconds.ours, "samples/s", ratio, bar, bar is None or ratio >= bar, remark)


def speeds(folder: Path, *, count: int, rounds: int) -> list[Row]:
    """Rows of tars, Parquet, and the store of the tars."""
    common = {"count": count, "rounds": rounds}
    file = folder / "set.parquet"
    rows = [
        compare("tars", lambda: read_all(WebDataset(str(folder)), count), lambda: peer_tars(folder, count),
                bar=BARS["tars"], peer="webdataset", **common),
        compare("Parquet, in order", lambda: read_all(CaptionTable(str(file)), count),
                lambda: peer_rows(stream(file), count), bar=None, peer="HF datasets, streaming", **common),
    ]  # fmt: skip
    codec = write_codes(folder)

    def read_images() -> None:
        read_all(WebDataset(str(folder)), count)

    def read_codes() -> None:
        store = Store(folder / "codes", codec)
        assert len(store.fetch(range(len(store)))) == count

    rows.append(compare("store of codes", read_codes, read_images, bar=BARS["store"],
                        peer="its images, not yet encoded", **common))  # fmt: skip
    return rows


def rendering(*, count: int, rounds: int) -> Row:
    """Processor time in milliseconds for a scene with its image and caption."""
    source, times = ShapesSource(count=count, canvas=48), []
    for _ in range(rounds):
        start = time.process_time()
        for index in range(count):
            source[index]
        times.append((time.process_time() - start) / count * 1e3)
    value, bar = float(np.median(times)), BARS["rendering"]
    return Row("a rendered scene", value, "ms of the processor", None, bar, value < bar)


def write_codes(folder: Path):
    """Write the store of the tars with an untrained image tokenizer; returns its codec."""
    source = WebDataset(str(folder))
    torch.manual_seed(0)
    tokenizer = ImageTokenizer(ImageTokenizerConfig()).train()
    tokenizer.encode(torch.rand(32, 3, 48, 48) * 2 - 1)
    tokenizer.eval().save_pretrained(folder / "tokenizer")
    train_text_tokenizer(source, folder / "codes" / TEXT_TOKENIZER, size=300)
    codec = build_codec(folder / "tokenizer", folder / "codes" / TEXT_TOKENIZER, image_shape=(6, 6))
    write_store(folder / "codes", source, codec, progress=False)
    return codec


class InMemory(DocumentData):
    """The batches of the first epoch, all in memory before the first step."""

    def train_dataloader(self) -> DataLoader:
        return DataLoader(list(super().train_dataloader()), batch_size=None, collate_fn=lambda batch: batch)


class TimedTraining(TransformerTraining):
    """Training with a clock."""

    def configure_callbacks(self) -> list[Callback]:
        return [*super().configure_callbacks(), Clock(time.thread_time)]


class Times(NamedTuple):
    """Seconds of each training step and of the wait before it, and processor seconds from step to step."""

    waits: list[float]
    steps: list[float]
    loops: list[float]

    @property
    def waiting_share(self) -> float:
        """Share of the time spent waiting for batches."""
        return sum(self.waits) / (sum(self.waits) + sum(self.steps))


def train(folder: Path, *, steps: int, workers: int, data: type[DocumentData] = DocumentData) -> Times:
    """Time a run at the size of configs/transformer/tiny.yaml from the store, with Lightning's profiler."""
    codes, run_folder = str(folder / "codes"), tempfile.mkdtemp(dir=folder)
    cli = run(TimedTraining, data, [
        "fit", "--config", str(ROOT / "configs/transformer/tiny.yaml"), "--threads", "1",
        "--trainer.max_steps", str(steps), "--trainer.val_check_interval", str(steps),
        "--trainer.check_val_every_n_epoch", "null", "--trainer.log_every_n_steps", "25",
        "--trainer.enable_progress_bar", "false", "--trainer.profiler", "simple",
        "--trainer.default_root_dir", run_folder,
        "--data.codec.image_tokenizer", str(folder / "tokenizer"), "--data.train", codes, "--data.val", codes,
        "--data.workers", str(workers),
    ], program="benchmarks/data.py", export="model")  # fmt: skip
    durations = cli.trainer.profiler.recorded_durations
    waits, batches = durations["[_TrainingEpochLoop].train_dataloader_next"], durations["run_training_batch"]
    clock = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock))
    loops = np.add(clock.before, clock.steps).tolist()
    return Times(waits[1 : len(batches)], batches[1:], loops[1:])  # the first wait starts the workers


def waiting(folder: Path, *, steps: int, workers: int) -> Row:
    """The share of training time spent waiting for the next batch."""
    times = train(folder, steps=steps, workers=workers)
    step, wait, share = np.median(times.steps) * 1e3, np.median(times.waits) * 1e3, times.waiting_share
    name = f"training waits, {workers} worker" + "s" * (workers != 1)
    remark = f"a step takes {step:.1f} ms, a batch {wait:.2f} ms"
    return Row(name, share, "of the time", None, BARS["waiting"], share < BARS["waiting"], remark)


def full_loop(folder: Path, *, steps: int, rounds: int) -> Row:
    """Processor time from step to step with the loader, against batches in memory, in turn.

    Processor time excludes other processes of a busy machine, but includes all the loader's work in the
    training thread.
    """
    with_loader, in_memory = [], []
    for _ in range(rounds):
        with_loader.append(np.median(train(folder, steps=steps, workers=0).loops))
        in_memory.append(np.median(train(folder, steps=steps, workers=0, data=InMemory).loops))
    ratio, bar = float(np.median(np.divide(in_memory, with_loader))), BARS["loop"]
    remark = f"over batches in memory: {np.median(in_memory) * 1e3:.2f} ms; {rounds} rounds in turn"
    name, value = "training, the whole loop, no worker", np.median(with_loader) * 1e3
    return Row(name, value, "ms of the processor a step", ratio, bar, ratio >= bar, remark)


def main() -> None:
    parser = command_line(__doc__, rounds=5)
    parser.add_argument("--count", type=int, default=2000, help="samples (default 2000)")
    parser.add_argument("--side", type=int, default=256, help="side of an image in pixels (default 256)")
    parser.add_argument("--steps", type=int, default=300, help="of training (default 300)")
    parser.add_argument("--training", action="store_true", help="measure only training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sets(folder, options.count, options.side)
        if options.training:
            write_codes(folder)
        rows = [] if options.training else speeds(folder, count=options.count, rounds=options.rounds)
        rows.append(rendering(count=options.count, rounds=options.rounds))
        rows += [waiting(folder, steps=options.steps, workers=workers) for workers in (0, 1)]
        rows.append(full_loop(folder, steps=options.steps, rounds=options.rounds))
    finish(rows, options.json)


if __name__ == "__main__":
    main()
