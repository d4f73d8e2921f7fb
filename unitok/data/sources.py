"""All sources by name, and the reader that fits a path. Knows the readers, and none of their formats."""

from collections.abc import Sequence
from pathlib import Path

from unitok.data.mixture import Mixture
from unitok.data.readers.base import HeldOut, Reader, Source, Together, of_split, read
from unitok.data.readers.coco import CocoCaptions
from unitok.data.readers.containers import Look
from unitok.data.readers.conversations import Llava, Messages
from unitok.data.readers.folders import ClassFolders, PictureFolder, TextPairs
from unitok.data.readers.idx import Idx
from unitok.data.readers.interleaved import Mmc4, Obelics
from unitok.data.readers.listing import visible
from unitok.data.readers.plain import PlainText
from unitok.data.readers.splits import SPLITS, Part, split_named, split_said
from unitok.data.readers.stream import Streamed
from unitok.data.readers.tables import CaptionTable, MetadataFolder, TextTable
from unitok.data.readers.webdataset import WebDataset
from unitok.data.remote import local

__all__ = [
    "CaptionTable", "ClassFolders", "CocoCaptions", "HeldOut", "Idx", "Llava", "Messages", "MetadataFolder",
    "Mixture", "Mmc4", "Obelics", "PictureFolder", "PlainText", "Reader", "Source", "Streamed", "TextPairs",
    "TextTable", "Together", "WebDataset", "open_data", "read", "recognise",
    "train_and_val",
]  # fmt: skip

PARTICULAR: tuple[type[Reader], ...] = (
    WebDataset, MetadataFolder, Idx, CocoCaptions, Llava, Messages, Obelics, Mmc4, CaptionTable, TextTable,
)  # fmt: skip
PLAIN: tuple[type[Reader], ...] = (TextPairs, ClassFolders, PictureFolder, PlainText)
"""In the order in which a path is tried: the more particular first, those of ordinary files last."""
RECORD_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
Documents = Source | str
"""Documents, or the folder of their store."""
FORMATS: dict[str, type[Reader]] = {reader.format: reader for reader in PARTICULAR + PLAIN}


def open_data(
    path: str | Path | Sequence[str], *, part: str | None = None, format: str | None = None, **settings
) -> Source:
    """The documents of a path, in whichever format they lie there.

    Args:
        path: a file or folder, also as a URL (see `remote`); or several, which are read one after the other.
        part: train, val or test: the folder or file of that name, else the shards whose names say it, else
            (of a set without val) a share: every 20th document is for validation. None takes all.
        format: one of FORMATS; if absent it is recognised.
        settings: arguments of the reader.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: it is a URL that is not read; its format is not recognised, or damaged as a whole; or the
            part is unknown.
    """
    if path in ("", []):
        raise ValueError("a path is empty: give a file or folder")
    if not isinstance(path, str | Path):
        return Together([open_data(one, part=part, format=format, **settings) for one in path])
    if format and format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, not {format!r}")
    if part is not None and part not in SPLITS:
        raise ValueError(f"the parts of a set are {', '.join(SPLITS)}, not {part!r}")
    whole = local(path)
    if not whole.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    parts = split_paths(whole)
    if not parts:
        return _open(whole, part, format, settings)
    if part is None:
        return Together([_open(found, None, format, settings) for found in parts.values()])
    return of_split(lambda split: _open(parts[split], None, format, settings), part, parts, path=path)


def _open(path: Path, part: Part | None, format: str | None, settings: dict) -> Source:
    reader = FORMATS[format] if format else recognise(path)
    return reader.open(_single_file(path, reader), part, **settings)


def split_paths(path: Path) -> dict[Part, Path]:
    """The folders, or files of records, in a folder that are the splits of a set.

    One alone is no split where there are others: there are classes named train. Where all names say a split
    in one of their words, each another, they count too.

    Raises:
        ValueError: two are the same split.
    """
    entries = visible(path)
    files = [entry for entry in entries if entry.suffix.lower() in RECORD_SUFFIXES and entry.is_file()]
    for some in (files, [entry for entry in entries if entry.is_dir()]):
        named = [(part, entry) for entry in some if (part := split_named(entry.stem)) is not None]
        if len(named) > 1 or (named and len(some) == 1):
            return _each_once(named)
        said = {split_said(entry.stem): entry for entry in some}
        if len(said) == len(some) > 1 and None not in said:
            return {part: said[part] for part in SPLITS if part in said}
    return {}


def _each_once(named: list[tuple[Part, Path]]) -> dict[Part, Path]:
    found = {part: [entry for other, entry in named if other == part] for part in SPLITS}
    for part, entries in found.items():
        if len(entries) > 1:
            names = " and ".join(entry.name for entry in entries)
            raise ValueError(
                f"{entries[0].parent}: {names} are named like one split, {part}: give data.train and data.val"
            )
    return {part: entries[0] for part, entries in found.items() if entries}


def recognise(path: Path) -> type[Reader]:
    """The reader of a file or folder. Raises ValueError with all that was looked for where none fits."""
    looks = [Look(path), *map(Look, _only_file(path))]
    for readers in (PARTICULAR, PLAIN):
        for look in looks:
            for reader in readers:
                if reader.fits(look):
                    return reader
    problems = "".join(f" ({look.problem})" for look in looks if look.problem)
    wanted = "; ".join(f"{name}: {reader.looks_like}" for name, reader in FORMATS.items())
    raise ValueError(f"{path}: no known format{problems}. Looked for (--data.format chooses one): {wanted}")


def _single_file(path: Path, reader: type[Reader]) -> Path:
    """The one file of records in a folder, where the reader wants that."""
    if path.is_dir() and not reader.fits(Look(path)):
        return next((file for file in _only_file(path) if reader.fits(Look(file))), path)
    return path


def _only_file(path: Path) -> list[Path]:
    """The file of records in a folder, if there is just one."""
    if not path.is_dir():
        return []
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in RECORD_SUFFIXES]
    return files if len(files) == 1 else []


def train_and_val(
    path: str | list[str] | None,
    train: Documents | None,
    val: Documents | None,
    *,
    format: str | None = None,
) -> tuple[Documents, Documents]:
    """The two sources of a data module: as given, and else the two parts of what is at a path.

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
        found = [open_data(path, part=part, format=format) for part in ("train", "val")]
        return found[0], found[1]
    if format is not None:
        raise ValueError(f"data.format {format} is that of data.path, which is not given")
    if len(given) == 1:
        raise ValueError(f"data.{given[0]} is given alone: give data.train and data.val, or data.path")
    if not given:
        raise ValueError("no data: give --data.path PATH (docs/your-data.md), or data.train and data.val")
    return train, val
