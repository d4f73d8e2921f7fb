"""Detects the format of a path, or says why none fits. Knows the readers, none of their formats."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from unitok.data.faults import Fault
from unitok.data.files.list_files import visible, walk
from unitok.data.files.open_records import Look
from unitok.data.files.splits import SPLITS, Part, split_named, split_said
from unitok.data.readers.coco import CocoCaptions
from unitok.data.readers.conversations import Llava, Messages
from unitok.data.readers.folders import (
    ClassFolders,
    PictureFolder,
    TextPairs,
    class_folders,
    holds_pictures,
    lone_tables,
)
from unitok.data.readers.interleaved import Mmc4, Obelics
from unitok.data.readers.mnist_idx import Idx
from unitok.data.readers.plain_text import SUFFIXES, PlainText
from unitok.data.readers.tables import CaptionTable, MetadataFolder, RecordReader, TextTable
from unitok.data.readers.unread_captions import TABLES, is_note, looks_like_captions, why_no_table, why_unread
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Reader, tell_once

PARTICULAR: tuple[type[Reader], ...] = (
    WebDataset, MetadataFolder, Idx, CocoCaptions, Llava, Messages, Obelics, Mmc4, CaptionTable, TextTable,
)  # fmt: skip
PLAIN: tuple[type[Reader], ...] = (TextPairs, ClassFolders, PictureFolder, PlainText)
"""In the order in which a path is tried: the more particular first, those of ordinary files last."""
FORMATS: dict[str, type[Reader]] = {reader.format: reader for reader in PARTICULAR + PLAIN}
MOST_SEEN = 10_000
"""Files that are counted to say what a folder holds."""


class Found(NamedTuple):
    """A reader, and the file or folder that it reads."""

    reader: type[Reader]
    path: Path


def recognise(path: Path) -> type[Reader]:
    """The reader of a file or folder; see `find`."""
    return find(path).reader


def find(path: Path, *, captions: bool = True, above: Path | None = None) -> Found:
    """The reader that fits a file or folder.

    Args:
        path: the file or folder.
        captions: they are wanted, so none may lie unread beside the images; else that is only said.
        above: the set that a folder is a split of, in which captions may lie too.

    Raises:
        ValueError: nothing fits, two tables do, or captions lie there that would not be read.
    """
    look, tables = Look(path), lone_tables(path)
    found = _of_records(look, tables, captions=captions) or _first_fit(PLAIN, look)
    if found is None:
        raise ValueError(_unknown(look, tables))
    if found.reader in PLAIN:
        _say_no_splits(path)
    at = Look(above) if above and found.reader is PictureFolder else look
    lost = next(found.reader.overlooked(at), None)
    if lost is None:
        return found
    name = found.reader.format
    if captions:
        raise ValueError(
            f"{path}: it would be read as {name}, but {lost} (--data.format {name} reads it all the same)"
        )
    tell_once(f"{path}: only the images are read: {lost}")
    return found


def _of_records(look: Look, tables: Sequence[Look], *, captions: bool) -> Found | None:
    """The particular reader of a path, or of the one table in a folder that has one."""
    texts_alone = look.path.is_dir() and holds_pictures(look.path)
    found = [_first_fit(PARTICULAR, one) for one in (look, *tables)]
    found = [one for one in found if one and not (texts_alone and one.reader is TextTable)]
    if len(found) < 2 or found[0].path == look.path:
        return found[0] if found else None
    if not captions:
        return None
    raise ValueError(f"{look.path}: {_several([one.path for one in found])}")


def _several(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files)
    return f"{names} are all tables: give one of them as the path, or a list of those that are one set"


def _first_fit(readers: Sequence[type[Reader]], look: Look) -> Found | None:
    return next((Found(reader, look.path) for reader in readers if reader.fits(look)), None)


def of_format(path: Path, reader: type[Reader]) -> Found:
    """What a reader that was asked for reads: the path, or the table in that folder.

    Raises:
        ValueError: several tables are there.
    """
    if path.is_file() or reader.fits(Look(path)) or not issubclass(reader, RecordReader | CocoCaptions):
        return Found(reader, path)
    tables = lone_tables(path)
    fitting = [look.path for look in tables if reader.fits(look)]
    files = fitting or [look.path for look in tables if look.path.suffix.lower() in TABLES]
    if len(files) > 1:
        raise ValueError(f"{path}: {_several(files)}")
    return Found(reader, *(files or [path]))


def inmost(path: Path) -> Path:
    """The folder in which a set lies: unpacking makes folders with nothing but a folder in them."""
    seen = set()
    while path.resolve() not in seen:
        seen.add(path.resolve())
        entries = [entry for entry in visible(path) if not is_note(entry.name)]
        particular = _first_fit(PARTICULAR, Look(path))
        if len(entries) != 1 or not entries[0].is_dir() or particular or split_paths(path):
            break
        path = entries[0]
    return path


def split_paths(path: Path) -> dict[Part, Path]:
    """The folders, or files of records, in a folder that are the splits of a set.

    One alone is no split where there are others: there are classes named train. Where all names say a split
    in one of their words, each another, they count too.

    Raises:
        ValueError: two are the same split.
    """
    entries = visible(path)
    tables = [entry for entry in entries if entry.suffix.lower() in TABLES and entry.is_file()]
    texts = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    if not any(split_said(text.stem) for text in texts) or holds_pictures(path):
        texts = []
    files = [*tables, *texts]
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


def find_split(path: Path, parts: Mapping[Part, Path], *, captions: bool, above: Path) -> Found:
    """The reader of one of the splits of a set; one that has a single class has classes, where others do."""
    found = find(inmost(path), captions=captions, above=above)
    if found.reader is not PictureFolder:
        return found
    for place in parts.values():
        other = inmost(place)
        alike = path / other.relative_to(place)
        if class_folders(alike) and ClassFolders.fits(Look(other)):
            return Found(ClassFolders, alike)
    return found


def table_over(path: Path) -> Found | None:
    """The table in a folder whose images lie in the folders of its splits, and have no captions there."""
    parts = split_paths(path)
    if not parts or not all(part.is_dir() for part in parts.values()):
        return None
    found = _of_records(Look(path), lone_tables(path), captions=True)
    if found is None or not issubclass(found.reader, CaptionTable):
        return None
    fits = [_first_fit((*PARTICULAR, *PLAIN), Look(part)) for part in parts.values()]
    return found if all(one is not None and one.reader is PictureFolder for one in fits) else None


def say_left_out(path: Path, parts: dict[Part, Path]) -> None:
    """Say which folders of images lie beside those of the splits, and are not read."""
    if not any(place.is_dir() for place in parts.values()):
        return
    beside = [entry for entry in visible(path) if entry.is_dir() and entry not in parts.values()]
    for folder in filter(holds_pictures, beside):
        names = ", ".join(place.name for place in parts.values())
        tell_once(f"{folder} is not read: the splits are {names}")


def _say_no_splits(path: Path) -> None:
    """Say which folders look like splits and are not taken for such."""
    folders = [entry for entry in visible(path) if entry.is_dir()]
    alike = [one for one in folders if split_said(one.name)]
    alike += [part for one in folders for part in split_paths(one).values()]
    if alike:
        names = ", ".join(str(one.relative_to(path)) for one in alike)
        tell_once(
            f"{path}: {names}: named like splits, but not all beside them are, so all is one set: where they "
            "are splits, give data.train and data.val"
        )


def _unknown(look: Look, tables: Sequence[Look]) -> str:
    """What was seen at a path that has no known format."""
    seen = why_no_table(look) if look.path.is_file() else _holdings(look.path)
    if look.path.is_file() and look.record is None and looks_like_captions(look.path.name):
        seen = why_unread(look)
    more = [f"{one.path.name}: {why_no_table(one)}" for one in tables if one.path.suffix.lower() in TABLES]
    said = "; ".join([seen, *filter(None, [look.path.is_dir() and look.problem]), *more[:3]])
    return (
        f"{look.path}: no known format: {said}. docs/your-data.md shows the formats, of which --data.format "
        f"chooses one: {', '.join(FORMATS)}"
    )


def _holdings(path: Path) -> str:
    """What lies in a folder and below, in words."""
    faults: list[Fault] = []
    files = islice(walk(path, faults=faults), MOST_SEEN)
    kinds = Counter(file.suffix.lower() or "without a suffix" for file in files)
    listed = [f"{count} {kind}" for kind, count in kinds.most_common(6)] + [*map(str, faults[:3])]
    return f"it holds {', '.join(listed)}" if listed else "it is empty"
