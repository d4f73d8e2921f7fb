"""Opens a path with the reader that fits it, and splits it. Knows no format."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from unitok.data.files.remote import local_path
from unitok.data.files.splits import SPLITS, Split
from unitok.data.readers.detect_format import (
    FORMATS,
    Match,
    detect,
    detect_split,
    find_split_table,
    innermost,
    match_format,
    split_paths,
    warn_unread_folders,
)  # fmt: skip
from unitok.data.source import Concat, Source, SplitOf, open_split

Documents = Source | str
"""A source of documents, or the folder of a store of their codes."""


def open_data(
    path: str | Path | Sequence[str],
    *,
    split: str | None = None,
    format: str | None = None,
    captions: bool = True,
    **settings,
) -> Source:
    """Opens the documents of a path, in any supported format.

    Args:
        path: a file or folder, also as a URL (see `remote`); or several, which are read one after the other.
        split: train, val or test: the folder or file of that name, else the shards with it in their names,
            else (in a set without val) a share: every 20th document is for validation. None takes all.
        format: one of FORMATS; if absent it is detected.
        captions: whether captions are needed; then a set whose captions would stay unread is refused.
        settings: arguments of the reader.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: it is an unsupported URL; its format is unknown, or the set is corrupt as a whole; or the
            split is unknown.
    """
    if path in ("", []):
        raise ValueError("path must name a file or folder, got an empty one")
    if not isinstance(path, str | Path):
        shared = {"split": split, "format": format, "captions": captions, **settings}
        return Concat([open_data(one, **shared) for one in path])
    if format and format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    root = local_path(path)
    if not root.exists():
        raise FileNotFoundError(f"{path}: not found")
    if format:
        return _open_splits(root, split, lambda place: match_format(place, FORMATS[format]), settings)
    root = innermost(root)
    table = find_split_table(root)
    if table is not None:
        return table.reader.open(table.path, split, **settings)
    paths = split_paths(root)
    if paths:
        match = partial(detect_split, splits=paths, captions=captions, parent=root)
    else:
        match = partial(detect, captions=captions)
    return _open_splits(root, split, match, settings)


def _open_splits(path: Path, split: Split | None, match: Callable[[Path], Match], settings: dict) -> Source:
    """Opens a set, or a split of it that is a folder or file of its own."""

    def open_path(place: Path, share: Split | None = None) -> Source:
        matched = match(place)
        return matched.reader.open(matched.path, share, **settings)

    paths = split_paths(path)
    warn_unread_folders(path, paths)
    if not paths:
        return open_path(path, split)
    if split is None:
        return Concat([open_path(place) for place in paths.values()])
    return open_split(lambda name: open_path(paths[name]), split, paths, path=path)


def train_and_val(
    path: str | list[str] | None,
    train: Documents | None,
    val: Documents | None,
    *,
    format: str | None = None,
    captions: bool = True,
) -> tuple[Documents, Documents]:
    """Returns the training and validation sources of a data module: its own, or the splits of a path.

    Args:
        path, format, captions: see `open_data`.
        train, val: sources in place of a path; of `train` alone, every 20th document validates.

    Raises:
        FileNotFoundError: there is nothing at the path, or no such split.
        ValueError: both a path and sources are given, or neither; a store, or `val`, without the other;
            a format without a path; or the format is unknown.
    """
    sources = [name for name, source in (("train", train), ("val", val)) if source is not None]
    if path is not None and sources:
        raise ValueError(f"give data.path, or data.train and data.val, not both: got path and {sources[0]}")
    if path is not None:
        shared = {"format": format, "captions": captions}
        return open_data(path, split="train", **shared), open_data(path, split="val", **shared)
    if format is not None:
        raise ValueError(f"data.format {format} needs data.path, which is not given")
    if val is None and isinstance(train, Source):
        return SplitOf(train, "train"), SplitOf(train, "val")
    if len(sources) == 1:
        raise ValueError(
            f"data.{sources[0]} needs its counterpart: give data.train and data.val, or data.path"
        )
    if not sources:
        raise ValueError("no data: give --data.path PATH (docs/your-data.md), or data.train and data.val")
    return train, val
