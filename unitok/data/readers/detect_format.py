"""Detects the format of a path, or says why none fits. Knows the readers, none of their formats."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from unitok.data.faults import Fault
from unitok.data.files.list_files import visible, walk
from unitok.data.files.open_records import FirstLook
from unitok.data.files.splits import SPLITS, Split, split_in_name, split_named
from unitok.data.readers.coco import CocoCaptions
from unitok.data.readers.conversations import Llava, Messages
from unitok.data.readers.folders import (
    ClassFolders,
    PictureFolder,
    TextPairs,
    class_folders,
    find_tables,
    holds_images,
)
from unitok.data.readers.interleaved import Mmc4, Obelics
from unitok.data.readers.mnist_idx import Idx
from unitok.data.readers.plain_text import SUFFIXES, PlainText
from unitok.data.readers.record_reader import RecordReader
from unitok.data.readers.tables import CaptionTable, MetadataFolder, TextTable
from unitok.data.readers.unread_captions import (
    TABLES,
    explain_no_table,
    explain_unread,
    is_note,
    looks_like_captions,
)
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Reader, warn_once

SPECIFIC: tuple[type[Reader], ...] = (
    WebDataset, MetadataFolder, Idx, CocoCaptions, Llava, Messages, Obelics, Mmc4, CaptionTable, TextTable,
)  # fmt: skip
GENERIC: tuple[type[Reader], ...] = (TextPairs, ClassFolders, PictureFolder, PlainText)
"""In the order in which they are tried: specific formats first, those of ordinary files last."""
FORMATS: dict[str, type[Reader]] = {reader.format: reader for reader in SPECIFIC + GENERIC}
MAX_COUNTED = 10_000
"""Most files that are counted to describe a folder."""


class Match(NamedTuple):
    """A reader, and the file or folder that it reads."""

    reader: type[Reader]
    path: Path


def detect(path: Path, *, captions: bool = True, parent: Path | None = None) -> Match:
    """Finds the reader that fits a file or folder.

    Args:
        path: the file or folder.
        captions: whether captions are needed, so that unread ones beside the images are an error, else a
            warning.
        parent: the set of which the folder is a split, where captions may be too.

    Raises:
        ValueError: no reader fits, several tables do, or there are captions that would not be read.
    """
    look, tables = FirstLook(path), find_tables(path)
    match = _match_records(look, tables, captions=captions) or _first_fit(GENERIC, look)
    if match is None:
        raise ValueError(_describe_unknown(look, tables))
    if match.reader in GENERIC:
        _warn_no_splits(path)
    searched = FirstLook(parent) if parent and match.reader is PictureFolder else look
    unread = next(match.reader.find_unread(searched), None)
    if unread is None:
        return match
    name = match.reader.format
    if captions:
        raise ValueError(
            f"{path}: it would be read as {name}, but {unread} (--data.format {name} reads it anyway)"
        )
    warn_once(f"{path}: only the images are read: {unread}")
    return match


def _match_records(look: FirstLook, tables: Sequence[FirstLook], *, captions: bool) -> Match | None:
    """Finds the specific reader of a path, or of the only table in a folder."""
    skip_texts = look.path.is_dir() and holds_images(look.path)
    matches = [_first_fit(SPECIFIC, one) for one in (look, *tables)]
    matches = [one for one in matches if one and not (skip_texts and one.reader is TextTable)]
    if len(matches) < 2 or matches[0].path == look.path:
        return matches[0] if matches else None
    if not captions:
        return None
    raise ValueError(f"{look.path}: {_describe_tables([one.path for one in matches])}")


def _describe_tables(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files)
    return f"{names} are all tables: give one of them as the path, or a list of those that make up one set"


def _first_fit(readers: Sequence[type[Reader]], look: FirstLook) -> Match | None:
    return next((Match(reader, look.path) for reader in readers if reader.fits(look)), None)


def match_format(path: Path, reader: type[Reader]) -> Match:
    """Finds what a given reader reads: the path itself, or the table in that folder.

    Raises:
        ValueError: there are several tables.
    """
    if path.is_file() or reader.fits(FirstLook(path)) or not issubclass(reader, RecordReader | CocoCaptions):
        return Match(reader, path)
    tables = find_tables(path)
    fitting = [look.path for look in tables if reader.fits(look)]
    files = fitting or [look.path for look in tables if look.path.suffix.lower() in TABLES]
    if len(files) > 1:
        raise ValueError(f"{path}: {_describe_tables(files)}")
    return Match(reader, *(files or [path]))


def innermost(path: Path) -> Path:
    """Descends to the folder of a set: unpacking makes folders that hold nothing but a folder."""
    seen = set()
    while path.resolve() not in seen:
        seen.add(path.resolve())
        entries = [entry for entry in visible(path) if not is_note(entry.name)]
        match = _first_fit(SPECIFIC, FirstLook(path))
        if len(entries) != 1 or not entries[0].is_dir() or match or split_paths(path):
            break
        path = entries[0]
    return path


def split_paths(path: Path) -> dict[Split, Path]:
    """Finds the folders, or files of records, in a folder that are the splits of a set.

    A single match is no split if there are other entries, since a class may be called train. Names with a
    split among their words count too, if all entries have one and no two have the same.

    Raises:
        ValueError: two entries are the same split.
    """
    entries = visible(path)
    tables = [entry for entry in entries if entry.suffix.lower() in TABLES and entry.is_file()]
    texts = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    if not any(split_in_name(text.stem) for text in texts) or holds_images(path):
        texts = []
    files = [*tables, *texts]
    for candidates in (files, [entry for entry in entries if entry.is_dir()]):
        named = [(split, entry) for entry in candidates if (split := split_named(entry.stem)) is not None]
        if len(named) > 1 or (named and len(candidates) == 1):
            return _unique_splits(named)
        by_word = {split_in_name(entry.stem): entry for entry in candidates}
        if len(by_word) == len(candidates) > 1 and None not in by_word:
            return {split: by_word[split] for split in SPLITS if split in by_word}
    return {}


def _unique_splits(named: list[tuple[Split, Path]]) -> dict[Split, Path]:
    grouped = {split: [entry for other, entry in named if other == split] for split in SPLITS}
    for split, entries in grouped.items():
        if len(entries) > 1:
            names = " and ".join(entry.name for entry in entries)
            raise ValueError(
                f"{entries[0].parent}: {names} both have the name of the split {split}: give data.train and "
                "data.val"
            )
    return {split: entries[0] for split, entries in grouped.items() if entries}


def detect_split(path: Path, splits: Mapping[Split, Path], *, captions: bool, parent: Path) -> Match:
    """Finds the reader of one split of a set; a single folder is a class if other splits have classes."""
    match = detect(innermost(path), captions=captions, parent=parent)
    if match.reader is not PictureFolder:
        return match
    for place in splits.values():
        other = innermost(place)
        folder = path / other.relative_to(place)
        if class_folders(folder) and ClassFolders.fits(FirstLook(other)):
            return Match(ClassFolders, folder)
    return match


def find_split_table(path: Path) -> Match | None:
    """Finds the table of a folder whose images are in the folders of its splits, without captions there."""
    splits = split_paths(path)
    if not splits or not all(place.is_dir() for place in splits.values()):
        return None
    match = _match_records(FirstLook(path), find_tables(path), captions=True)
    if match is None or not issubclass(match.reader, CaptionTable):
        return None
    inner = [_first_fit((*SPECIFIC, *GENERIC), FirstLook(place)) for place in splits.values()]
    return match if all(one is not None and one.reader is PictureFolder for one in inner) else None


def warn_unread_folders(path: Path, splits: dict[Split, Path]) -> None:
    """Warns of folders of images that lie beside those of the splits and are not read."""
    if not any(place.is_dir() for place in splits.values()):
        return
    others = [entry for entry in visible(path) if entry.is_dir() and entry not in splits.values()]
    for folder in filter(holds_images, others):
        names = ", ".join(place.name for place in splits.values())
        warn_once(f"{folder} is not read: the splits are {names}")


def _warn_no_splits(path: Path) -> None:
    """Warns of folders whose names look like splits and that are not read as such."""
    folders = [entry for entry in visible(path) if entry.is_dir()]
    similar = [folder for folder in folders if split_in_name(folder.name)]
    similar += [place for folder in folders for place in split_paths(folder).values()]
    if similar:
        names = ", ".join(str(place.relative_to(path)) for place in similar)
        warn_once(
            f"{path}: {names}: named like splits, but not all entries beside them are, so all are read as "
            "one set; if they are splits, give data.train and data.val"
        )


def _describe_unknown(look: FirstLook, tables: Sequence[FirstLook]) -> str:
    """Describes a path without a known format."""
    reason = explain_no_table(look) if look.path.is_file() else _describe_folder(look.path)
    if look.path.is_file() and look.record is None and looks_like_captions(look.path.name):
        reason = explain_unread(look)
    more = [
        f"{one.path.name}: {explain_no_table(one)}" for one in tables if one.path.suffix.lower() in TABLES
    ]
    reasons = "; ".join([reason, *filter(None, [look.path.is_dir() and look.problem]), *more[:3]])
    return (
        f"{look.path}: no known format: {reasons}. docs/your-data.md shows the formats; --data.format "
        f"chooses one: {', '.join(FORMATS)}"
    )


def _describe_folder(path: Path) -> str:
    """Describes the content of a folder and those below it."""
    faults: list[Fault] = []
    files = islice(walk(path, faults=faults), MAX_COUNTED)
    kinds = Counter(file.suffix.lower() or "without a suffix" for file in files)
    listed = [f"{count} {kind}" for kind, count in kinds.most_common(6)] + [*map(str, faults[:3])]
    return f"it holds {', '.join(listed)}" if listed else "it is empty"
