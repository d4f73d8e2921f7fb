"""Encodes a data set once into a store of codes. Knows no transformer."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unitok.chat_template import ChatTemplate
from unitok.data.codes.build_codec import build_codec, train_text_tokenizer
from unitok.data.codes.source_changes import compute_stamp
from unitok.data.codes.store_writer import Summary, refuse_foreign, write_store
from unitok.data.dataset_report import SHEET, check_source, to_lines
from unitok.data.faults import REPORT
from unitok.data.mixture import find_codes_or_tasks
from unitok.data.source import Source
from unitok.data.transforms.resize import Buckets, Resized
from unitok.device import pick_device
from unitok.modalities.base import Modality
from unitok.modalities.text import TEXT_TOKENIZER, TextModality
from unitok.tokens.codec import Codec
from unitok.training.class_paths import build
from unitok.training.open_source import open_source, reader_names


def encode(
    *,
    source: str | list[str] | Mapping[str, Any],
    image_tokenizer: str | Path,
    out: str | Path,
    text_tokenizer: str | Path | None = None,
    text_size: int = 1024,
    image_shape: Sequence[int] | None = None,
    locations: Sequence[str] = (),
    modalities: Sequence[str | Mapping[str, Any]] = (),
    split: str = "train",
    settings: Mapping[str, Any] | None = None,
    batch_size: int = 64,
    shard_size: int = 16_384,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
    format: str | None = None,
    most_faults: float = 0.1,
    image_cells: int | None = None,
    chat: Mapping[str, Any] | None = None,
) -> Summary:
    """Encode a source into the store `out`, together with its tokenizer.json, and print a summary.

    Args:
        source, split, settings, format: see `open_source`.
        image_tokenizer: folder of a trained image tokenizer.
        out: folder of the store. Shards in it whose documents have not changed are kept.
        text_tokenizer: a tokenizer.json; if absent, `out`'s is used, or one is trained on the source's texts.
        text_size: maximum vocabulary of a text tokenizer trained here.
        image_shape: (rows, columns) in cells to which images are resized; if absent, each keeps its size.
        locations: "box", "point" or both, if the documents have them.
        modalities: others that the documents have: class paths, or {"class_path": …, "init_args": {…}}.
        batch_size: documents encoded at once.
        shard_size: documents per shard.
        device: of the image tokenizer; "auto" uses a GPU if there is one.
        threads: CPU threads; 0 uses all cores.
        progress: show a progress bar.
        most_faults: share of corrupt documents, after the first 1,000, that stops the run.
        image_cells: instead of `image_shape`: each image is resized to the shape of at most this many cells
            that is nearest to its own.
        chat: arguments of the ChatTemplate that turns conversations into documents; stored in the store.

    Raises:
        FileExistsError: `out` holds something other than a store.
        ValueError: both image_shape and image_cells are given, a mixture has tasks, or `open_source` fails.
    """
    if image_cells is not None and image_shape is not None:
        raise ValueError("image_shape and image_cells exclude each other")
    more = [build(modality, Modality, what="a modality") for modality in modalities]
    refuse_foreign(out)
    if threads:
        torch.set_num_threads(threads)
    start, stored = time.monotonic(), Path(out) / TEXT_TOKENIZER
    template = _template(chat or {})
    documents = _open_documents(source, split=split, settings=settings, format=format).with_chat(template)
    if text_tokenizer is None and not stored.is_file():
        train_text_tokenizer(documents, stored, size=text_size)
    codec = build_codec(
        image_tokenizer,
        text_tokenizer or stored,
        image_shape=image_shape,
        locations=locations,
        modalities=more,
    )
    _save_text_tokenizer(codec.modalities["text"], stored)
    for modality in codec.modalities.values():
        modality.to(pick_device(device))
    if image_cells is not None:
        documents = Resized(documents, Buckets(cells=image_cells, cell=codec.image.tokenizer.cell))
    options = {"batch_size": batch_size, "shard_size": shard_size, "progress": progress, "chat": template}
    arguments = {"source": source, "split": split, "settings": settings, "format": format}
    stamp = compute_stamp(arguments | {"image_cells": image_cells})
    summary = write_store(out, documents, codec, most_faults=most_faults, stamp=stamp, **options)
    print(f"{out}: {_describe(summary, codec, seconds=time.monotonic() - start)}")
    return summary


def _open_documents(source: str | list[str] | Mapping[str, Any], **options) -> Source:
    """Opens a source for a store. Raises ValueError if it has tasks, which a store cannot hold."""
    documents = open_source(source, **options)
    if find_codes_or_tasks(documents) is not None:
        raise ValueError("a store cannot hold tasks: encode each source separately and mix the stores")
    return documents


def _save_text_tokenizer(text: TextModality, path: Path) -> None:
    """Save the tokenizer.json before the codes, which cannot be decoded without it.

    Raises ValueError if the store has another text tokenizer.
    """
    if not path.is_file():
        text.to_file(path)
    elif TextModality.from_file(path).fingerprint() != text.fingerprint():
        raise ValueError(
            f"{path}: not the given text tokenizer: remove {path.parent} or choose another folder"
        )


def _describe(summary: Summary, codec: Codec, *, seconds: float) -> str:
    sizes = ", ".join(f"{size} of {name}" for name, size in codec.vocabulary.sizes.items())
    return (
        f"{summary.documents} documents in {seconds:.0f} s, {summary.dropped} dropped, "
        f"{summary.kept} shards reused; codes: {sizes}"
    )


def _template(chat: Mapping[str, Any]) -> ChatTemplate:
    try:
        return ChatTemplate(**chat)
    except TypeError as error:
        raise ValueError(f"chat: {error}") from error


def check(
    path: str,
    *,
    out: str | Path,
    split: str = "all",
    format: str | None = None,
    settings: Mapping[str, Any] | None = None,
    pictures: int = 64,
    workers: int = 0,
) -> dict[str, Any]:
    """Read a data set once, and report its contents and corrupt samples; returns the report.

    Args:
        path, split, format, settings: see `open_source`.
        out, pictures, workers: see `check_source`.
    """
    with _errors_only(logging.getLogger("unitok.data.faults")):  # the report lists the faults
        source = open_source(path, split=split, format=format, settings=settings)
        report = check_source(source, out=out, images=pictures, workers=workers, progress=sys.stderr.isatty())
    print(f"{path}: {reader_names(source)}, {len(source)} documents", *to_lines(report), sep="\n")
    files = [name for name in (REPORT, SHEET) if (Path(out) / name).exists()]
    print(f"{out}: {', '.join(files)}")
    return report


@contextmanager
def _errors_only(logger: logging.Logger) -> Iterator[None]:
    """Log nothing below errors within the context."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
