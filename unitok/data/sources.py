"""Opens a path with the reader that fits it, and splits it. Knows no format."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from unitok.data.files.remote import local
from unitok.data.files.splits import SPLITS, Part
from unitok.data.readers.detect_format import (
    FORMATS,
    Found,
    find,
    find_split,
    inmost,
    of_format,
    say_left_out,
    split_paths,
    table_over,
)  # fmt: skip
from unitok.data.source import Concat, Source, of_split

Documents = Source | str
"""Documents, or the folder of their store."""


def open_data(
    path: str | Path | Sequence[str],
    *,
    part: str | None = None,
    format: str | None = None,
    captions: bool = True,
    **settings,
) -> Source:
    """The documents of a path, in whichever format they lie there.

    Args:
        path: a file or folder, also as a URL (see `remote`); or several, which are read one after the other.
        part: train, val or test: the folder or file of that name, else the shards whose names say it, else
            (of a set without val) a share: every 20th document is for validation. None takes all.
        format: one of FORMATS; if absent it is recognised.
        captions: they are wanted, so a set is refused in which some would lie unread beside the images.
        settings: arguments of the reader.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: it is a URL that is not read; its format is not recognised, or damaged as a whole; or the
            part is unknown.
    """
    if path in ("", []):
        raise ValueError("a path is empty: give a file or folder")
    if not isinstance(path, str | Path):
        shared = {"part": part, "format": format, "captions": captions, **settings}
        return Concat([open_data(one, **shared) for one in path])
    if format and format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, not {format!r}")
    if part is not None and part not in SPLITS:
        raise ValueError(f"the parts of a set are {', '.join(SPLITS)}, not {part!r}")
    whole = local(path)
    if not whole.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if format:
        return _of_splits(whole, part, lambda place: of_format(place, FORMATS[format]), settings)
    whole = inmost(whole)
    over = table_over(whole)
    if over is not None:
        return over.reader.open(over.path, part, **settings)
    parts = split_paths(whole)
    recognised = partial(find_split, parts=parts, captions=captions, above=whole)
    return _of_splits(whole, part, recognised if parts else partial(find, captions=captions), settings)


def _of_splits(path: Path, part: Part | None, find_in: Callable[[Path], Found], settings: dict) -> Source:
    """A set, or a split of it that is a folder or file of its own."""

    def opened(place: Path, share: Part | None = None) -> Source:
        found = find_in(place)
        return found.reader.open(found.path, share, **settings)

    parts = split_paths(path)
    say_left_out(path, parts)
    if not parts:
        return opened(path, part)
    if part is None:
        return Concat([opened(place) for place in parts.values()])
    return of_split(lambda split: opened(parts[split]), part, parts, path=path)


def train_and_val(
    path: str | list[str] | None,
    train: Documents | None,
    val: Documents | None,
    *,
    format: str | None = None,
    captions: bool = True,
) -> tuple[Documents, Documents]:
    """The two sources of a data module: as given, and else the two parts of what is at a path.

    Args:
        path, format, captions: see `open_data`.
        train, val: in place of a path.

    Raises:
        FileNotFoundError: there is nothing there, or no such part.
        ValueError: a path and sources are given, or neither; a source without the other, or a format without
            a path; or the format is unknown.
    """
    given = [name for name, source in (("train", train), ("val", val)) if source is not None]
    if path is not None and given:
        raise ValueError(
            f"give data.path, or data.train and data.val, not both: here are path and {given[0]}"
        )
    if path is not None:
        shared = {"format": format, "captions": captions}
        return open_data(path, part="train", **shared), open_data(path, part="val", **shared)
    if format is not None:
        raise ValueError(f"data.format {format} is that of data.path, which is not given")
    if len(given) == 1:
        raise ValueError(f"data.{given[0]} is given alone: give data.train and data.val, or data.path")
    if not given:
        raise ValueError("no data: give --data.path PATH (docs/your-data.md), or data.train and data.val")
    return train, val
