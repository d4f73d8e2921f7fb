"""Tables of captioned images and of texts, in any file of records. Knows columns, no conversations."""

import ast
import json
import re
from abc import abstractmethod
from array import array
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, ClassVar

from unitok.data.faults import SampleError
from unitok.data.files.arrow import ParquetRows, SavedRows
from unitok.data.files.list_files import visible
from unitok.data.files.open_records import Look, open_records, parquet_files
from unitok.data.files.records import Record, Records, columns, each
from unitok.data.files.remote import local
from unitok.data.files.splits import SPLITS, Part, by_split, split_named
from unitok.data.readers.segments import holds_image, inside, is_missing, picture, text
from unitok.data.source import Chosen, Reader, Source, SplitOf, of_split, tell_once
from unitok.document import Document, Segment

PICTURE_COLUMNS = (
    "image", "file_name", "filepath", "file_path", "image_path", "filename", "path", "img", "jpg", "png",
    "webp", "images", "image_name", "image_file",
)  # fmt: skip
CAPTION_COLUMNS = ("text", "caption", "title", "captions", "description", "prompt", "txt", "label", "comment")
SPLIT_COLUMNS = ("split", "partition", "data set")
WRITTEN_LIST = re.compile(r"""\s*\[\s*["'].{0,65536}["']\s*\]\s*""", re.DOTALL)
WITHOUT_COMMAS = re.compile(r"""["']\s+["']""")
"""Between the texts of a list as numpy writes it, which Python would read as one text."""
WRITTEN = re.compile(r"\s*(\[.*\]|\{.*\})\s*", re.DOTALL)
FIRST = 20
"""Records that are looked at to learn where the pictures lie."""


class RecordReader(Reader):
    """A source with one document a record.

    Args:
        path: a .jsonl, .json, .csv, .tsv or .parquet file, a folder of .parquet files, or one that HF
            `datasets` saved; also as a URL (see `remote`); or records that are open.
        images: folder of the pictures that records name; if absent that of the file.
        part: of a folder of Parquet files, those whose names say it; None takes all.
    """

    def __init__(self, path: str | Records, *, images: str | None = None, part: Part | None = None):
        place = path.path if isinstance(path, Records) else local(path)
        self.records = path if isinstance(path, Records) else open_records(place, part)
        self.images = Path(images) if images else (place if place.is_dir() else place.parent)
        self.faults = self.records.faults

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        there = by_split(parquet_files(path, None)) if path.is_dir() else {}
        if part is None or not there:
            return cls._by_row(cls(str(path), **settings), part)
        return of_split(lambda split: cls(str(path), part=split, **settings), part, there, path=path)

    @classmethod
    def _by_row(cls, whole: "RecordReader", part: Part | None) -> Source:
        """The rows of a split, where rows say theirs; else a share of all."""
        if part is None:
            return whole
        rows = whole.rows_by_split()
        if not rows:
            return SplitOf(whole, part)
        return of_split(lambda split: Chosen(whole, rows[split]), part, rows, path=whole.records.path)

    def rows_by_split(self) -> dict[Part, array]:
        """The rows of each split, where all rows say theirs; Parquet is not read through for that."""
        first = next(self.records.first(), None)
        if isinstance(self.records, ParquetRows | SavedRows) or first is None or self.split_of(first) is None:
            return {}
        rows: dict[Part, array] = {}
        for index, record in enumerate(each(self.records)):
            split = self.split_of(record) if isinstance(record, dict) else "train"  # one counts the damaged
            if split is None:
                tell_once(f"{self.records.path}: row {index} says no split, others do: all are one set")
                return {}
            rows.setdefault(split, array("q")).append(index)
        return {part: rows[part] for part in SPLITS if part in rows} if "train" in rows else {}

    def split_of(self, record: Record) -> Part | None:
        """The split that a record says it is of."""
        name = next((record[name] for name in record if name.strip().casefold() in SPLIT_COLUMNS), None)
        return split_named(name.strip()) if isinstance(name, str) else None

    @classmethod
    def fits(cls, look: Look) -> bool:
        if look.record is None or not cls.fits_record(look.record):
            return False
        unread = cls.unread_images(look.records)
        if unread:
            named = ", ".join(map(repr, unread))
            look.problem = (
                f"images in the column {named} of {', '.join(look.record)}, which no known name claims: "
                f"read them by --format table --set picture_column={unread[0]}, or leave them out by "
                f"--format {cls.format}"
            )
        return not unread

    @classmethod
    def fits_records(cls, records: Sequence[Record]) -> bool:
        """Whether the first records look like this format, and hold no image that it would not read."""
        return cls.fits_record(records[0]) and not cls.unread_images(records)

    @classmethod
    @abstractmethod
    def fits_record(cls, record: Record) -> bool:
        """Whether a record looks like this format."""

    @classmethod
    def unread_images(cls, records: Sequence[Record]) -> list[str]:
        """The columns with images, of records in which this format would read none."""
        return []

    @abstractmethod
    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        """A record as a document; `path` and `offset` say in faults where it lies."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Document:
        record, offset = self.records[index], self.records.offset(index)
        return self.document(record, path=self.records.place(index), offset=offset)

    def picture(self, value: Any, *, path: str, offset: int | None, learn: bool = True) -> Segment:
        """The picture of a cell: a file's name, bytes, or {"bytes": …, "path": …} as HF has it."""
        if isinstance(value, dict):
            value = value["bytes"] if value.get("bytes") is not None else value.get("path", value.get("url"))
        if isinstance(value, bytes):
            return picture(value, path=path, offset=offset, learn=learn)
        file = inside(self.images, value, path=path, offset=offset)
        return picture(file, path=file, learn=learn)

    def caption(self, value: Any, classes: Sequence[str] | None, *, path: str, offset: int | None) -> Segment:
        """The text of a cell; a number is the name of its class, where the file has names."""
        if classes is not None and isinstance(value, float) and value.is_integer():
            value = int(value)  # where some have no class, tables hold fractions
        if classes is not None and isinstance(value, int):
            value = _class_name(value, classes, path=path, offset=offset)
        return text(value, path=path, offset=offset)


def _class_name(number: int, classes: Sequence[str], *, path: str, offset: int | None) -> str | None:
    """As in folders of classes, with spaces for underscores; HF writes -1 where there is no class."""
    if number >= len(classes) or number < -1:
        detail = f"class {number}, and the file names {len(classes)}"
        raise SampleError("parts do not match", path, detail, offset=offset)
    return None if number == -1 else classes[number].replace("_", " ")


def columns_of_images(records: Sequence[Record], *, known: Sequence[str]) -> list[str]:
    """The columns of images, in records that have none of the known columns."""
    if any(name in record for record in records for name in known):
        return []
    found = [name for record in records for name, value in record.items() if holds_image(value)]
    return list(dict.fromkeys(found))


def look_over_captions(records: Records, name: str) -> None:
    """Say once that captions are numbers, or words by which tables spell missing values."""
    cells = [cell for cell in (record.get(name) for record in records.first()) if not is_missing(cell)]
    if cells and name not in records.classes and all(map(_is_number, cells)):
        tell_once(
            f"{records.path}: the captions in {name!r} are numbers, such as {cells[0]}, and the file has no "
            "names for them: they are learned as digits"
        )
    if nulls := records.nulls(name):
        tell_once(
            f"{records.path}: {nulls} captions in {name!r} are words such as nan or null, which are learned "
            "as they stand: leave the cell empty where there is no caption"
        )


def captions_of(cell: Any) -> list:
    """The captions of a cell that is a list of them, or in which one stands as JSON or Python writes it."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str) or not WRITTEN_LIST.fullmatch(cell) or WITHOUT_COMMAS.search(cell):
        return []
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []
    return []


def look_over_lists(records: Records, name: str) -> None:
    """Say once that of several captions a row the first is learned, or lists as they stand."""
    cells = [cell for cell in (record.get(name) for record in records.first()) if not is_missing(cell)]
    said = f"{records.path}: the captions in {name!r}"
    if any(len(captions_of(cell)) > 1 for cell in cells):
        tell_once(f"{said} are lists of several: the first of each is learned")
    elif cells and all(map(_is_written_out, cells)):
        tell_once(
            f"{said} look like lists or records written out, such as {cells[0]:.60}, and are learned as they "
            "stand: write one caption into each cell"
        )


def _is_written_out(cell: Any) -> bool:
    """Whether a text looks like a list or a record, and is not read as a list of captions."""
    return isinstance(cell, str) and WRITTEN.fullmatch(cell) is not None and not captions_of(cell)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\s*[+-]?\d+(\.\d*)?\s*", value, re.ASCII) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def column(names: Sequence[str], wanted: str | None, known: Sequence[str]) -> str | None:
    """The column that is asked for, or the first known one that is there, in any case and spacing."""
    if wanted in names:
        return wanted
    there = {"_".join(name.casefold().split()): name for name in reversed(names)}
    return wanted or next((there[name] for name in known if name in there), None)


class CaptionTable(RecordReader):
    """Captioned pictures, one a row, such as csv files with `filepath` and `title`.

    Where a caption is a list of several, also one written out in a cell of csv, the first is taken, which is
    said once; a list of one image is that image.

    Args:
        path, images, part: see RecordReader.
        picture_column, caption_column: if absent, the first known name, such as file_name and text.

    Raises:
        ValueError: there are no such columns.
    """

    picture_columns: ClassVar[tuple[str, ...]] = PICTURE_COLUMNS
    format = "table"
    looks_like = (
        "a .csv, .tsv, .jsonl, .json or .parquet file, a folder of the last, or one saved by HF datasets, "
        f"with a column of pictures ({', '.join(PICTURE_COLUMNS)}) and one of captions "
        f"({', '.join(CAPTION_COLUMNS)})"
    )

    def __init__(
        self,
        path: str | Records,
        *,
        images: str | None = None,
        part: Part | None = None,
        picture_column: str | None = None,
        caption_column: str | None = None,
    ):
        super().__init__(path, images=images, part=part)
        names = columns(self.records)
        self.shown = column(names, picture_column, self.picture_columns)
        self.said = column([n for n in names if n != self.shown], caption_column, CAPTION_COLUMNS)
        for name, kind in ((self.shown, "pictures"), (self.said, "captions")):
            if name is None or name not in names:
                called = f"{kind} {name!r}" if name else kind
                raise ValueError(f"{self.records.path}: no column of {called} among {', '.join(names)}")
        look_over_captions(self.records, self.said)
        look_over_lists(self.records, self.said)
        if images is None:
            self.images = self._images_folder()

    @classmethod
    def fits(cls, look: Look) -> bool:
        return super().fits(look) or any(map(cls.fits_record, look.rows[:1]))

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        shown = column(list(record), None, cls.picture_columns)
        others = [name for name in record if name != shown]
        return shown is not None and column(others, None, CAPTION_COLUMNS) is not None

    def _images_folder(self) -> Path:
        """The file's folder, or the one in it that has more of the first pictures."""
        first = islice(self.records.first(), FIRST)
        names = [name for record in first if isinstance(name := record.get(self.shown), str)]
        below = [folder for folder in visible(self.images) if folder.is_dir()] if names else []
        return max([self.images, *below], key=lambda folder: sum(_is_there(folder, name) for name in names))

    def split_of(self, record: Record) -> Part | None:
        said, shown = super().split_of(record), record.get(self.shown)
        if said is not None or not isinstance(shown, str):
            return said
        return next(filter(None, map(split_named, PurePath(shown).parts[:-1])), None)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        for name in (self.shown, self.said):
            if name not in record:
                raise SampleError("missing column", path, f"it has no {name!r}", offset=offset)
        caption = record[self.said]
        caption = next(iter(captions_of(caption)), caption)
        said = self.caption(caption, self.records.classes.get(self.said), path=path, offset=offset)
        shown = _only(record[self.shown], path=path, offset=offset)
        return said, self.picture(shown, path=path, offset=offset)


def _only(value: Any, *, path: str, offset: int | None) -> Any:
    """The one image of a list."""
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        detail = f"{len(value)} images, and one caption"
        raise SampleError("parts do not match", path, detail, offset=offset)
    return value[0] if value else None


def _is_there(folder: Path, name: str) -> bool:
    try:
        return inside(folder, name, path=folder).is_file()
    except (SampleError, OSError):
        return False


class MetadataFolder(CaptionTable):
    """A folder of pictures with metadata.jsonl, .csv or .parquet, as HF's `imagefolder` has it.

    Each row names its picture by `file_name`, relative to the folder. Pictures that no row names are passed
    over.

    Args:
        path: the folder.
        caption_column: if absent, the first known name, such as text.

    Raises:
        FileNotFoundError: it has no such file.
        ValueError: that has no such columns.
    """

    picture_columns = ("file_name", *PICTURE_COLUMNS)
    format = "imagefolder"
    looks_like = "a folder with metadata.jsonl, metadata.csv or metadata.parquet"

    def __init__(self, path: str, *, caption_column: str | None = None):
        file = metadata_file(local(path))
        if file is None:
            raise FileNotFoundError(
                f"the folder {path} has no metadata.jsonl, metadata.csv or metadata.parquet"
            )
        super().__init__(str(file), caption_column=caption_column)

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        return cls._by_row(cls(str(path), **settings), part)

    @classmethod
    def fits(cls, look: Look) -> bool:
        return metadata_file(look.path) is not None


def metadata_file(path: Path) -> Path | None:
    """The file of a folder that names its pictures."""
    names = [f"metadata{suffix}" for suffix in (".jsonl", ".csv", ".parquet")]
    files = [file for file in visible(path) if file.name.casefold() in names and file.is_file()]
    return min(files, key=lambda file: names.index(file.name.casefold()), default=None)


class TextTable(RecordReader):
    """Texts, one a row, in a column of a table.

    Args:
        path, part: see RecordReader.
        text_column: if absent, the first known name, such as text.

    Raises:
        ValueError: there is no such column.
    """

    format = "texts"
    looks_like = f"a table as above with a column of texts ({', '.join(CAPTION_COLUMNS)}) and no pictures"

    def __init__(self, path: str | Records, *, part: Part | None = None, text_column: str | None = None):
        super().__init__(path, part=part)
        names = columns(self.records)
        self.said = column(names, text_column, CAPTION_COLUMNS)
        if self.said is None or self.said not in names:
            raise ValueError(f"{self.records.path}: no column of texts among {', '.join(names)}")
        look_over_captions(self.records, self.said)

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get(column(list(record), None, CAPTION_COLUMNS)), str)

    @classmethod
    def unread_images(cls, records: Sequence[Record]) -> list[str]:
        said = column(list(records[0]), None, CAPTION_COLUMNS)
        return [name for name in columns_of_images(records, known=()) if name != said]

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        if self.said not in record:
            raise SampleError("missing column", path, f"it has no {self.said!r}", offset=offset)
        classes = self.records.classes.get(self.said)
        return (self.caption(record[self.said], classes, path=path, offset=offset),)
