"""Tables of captioned images and of texts, in any file of records. Knows columns, no conversations."""

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, ClassVar

from unitok.data.faults import SampleError
from unitok.data.files.arrow import ParquetRows, SavedRows
from unitok.data.files.list_files import visible
from unitok.data.files.open_records import FirstLook, open_records, parquet_files
from unitok.data.files.records import Record, Records, column_names, iterate
from unitok.data.files.remote import local_path
from unitok.data.files.splits import SPLITS, Split, group_by_split, split_named
from unitok.data.readers.columns import (
    CAPTION_COLUMNS,
    IMAGE_COLUMNS,
    INSPECTED,
    find_column,
    find_image_columns,
    guess_pair,
    image_exists,
    parse_captions,
    warn_caption_lists,
    warn_odd_captions,
)
from unitok.data.readers.segments import image_segment, resolve_inside, text_segment
from unitok.data.source import Reader, Source, SplitOf, Subset, open_split, split_by_group, warn_once
from unitok.document import Document, Segment

SPLIT_COLUMNS = ("split", "partition", "data set")


class RecordReader(Reader):
    """A source with one document per record.

    Args:
        path: a .jsonl, .json, .csv, .tsv or .parquet file, a folder of .parquet files, or one that HF
            `datasets` saved; also as a URL (see `remote`); or open records.
        images: folder of the images that records name; if absent the file's folder.
        part: the split to read of a folder of Parquet files, by their names; None takes all.
    """

    def __init__(self, path: str | Records, *, images: str | None = None, part: Split | None = None):
        place = path.path if isinstance(path, Records) else local_path(path)
        self.records = path if isinstance(path, Records) else open_records(place, part)
        self.images = Path(images) if images else (place if place.is_dir() else place.parent)
        self.faults = self.records.faults

    @classmethod
    def open(cls, path: Path, split: Split | None, /, **settings) -> Source:
        existing = group_by_split(parquet_files(path, None)) if path.is_dir() else {}
        if split is None or not existing:
            return cls._open_rows(cls(str(path), **settings), split)
        return open_split(lambda name: cls(str(path), part=name, **settings), split, existing, path=path)

    @classmethod
    def _open_rows(cls, whole: "RecordReader", split: Split | None) -> Source:
        """Returns the rows of a split, if rows name their splits, else a share of all."""
        if split is None:
            return whole
        rows = whole.rows_by_split()
        if rows:
            return open_split(lambda name: Subset(whole, rows[name]), split, rows, path=whole.records.path)
        images = whole.images_of_rows()
        return SplitOf(whole, split) if images is None else split_by_group(whole, split, images)

    def rows_by_split(self) -> dict[Split, array]:
        """The rows of each split, if all rows name theirs; empty for Parquet, which would be slow to scan."""
        first = next(self.records.first(), None)
        if isinstance(self.records, ParquetRows | SavedRows) or first is None or self.split_of(first) is None:
            return {}
        rows: dict[Split, array] = {}
        for index, record in enumerate(iterate(self.records)):
            split = self.split_of(record) if isinstance(record, dict) else "train"  # counts corrupt rows once
            if split is None:
                warn_once(
                    f"{self.records.path}: row {index} names no split, but others do: all are read as one set"
                )
                return {}
            rows.setdefault(split, array("q")).append(index)
        return {split: rows[split] for split in SPLITS if split in rows} if "train" in rows else {}

    def split_of(self, record: Record) -> Split | None:
        """Returns the split that a record names."""
        name = next((record[name] for name in record if name.strip().casefold() in SPLIT_COLUMNS), None)
        return split_named(name.strip()) if isinstance(name, str) else None

    def images_of_rows(self) -> Iterator[int] | None:
        """Yields a number for the image of each row, if rows share images; None if the first ones do not."""
        names = [name for record in self.records.first() if (name := self.image_of(record)) is not None]
        if len({*names}) == len(names):
            return None
        images = (self.image_of(row) if isinstance(row, dict) else None for row in iterate(self.records))
        return (~index if image is None else hash(image) for index, image in enumerate(images))

    def image_of(self, record: Record) -> str | None:
        """Returns the name of a record's image; None where it has none."""
        return None

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        if look.record is None or not cls.fits_record(look.record):
            return False
        unread = cls.unread_images(look.records)
        if unread:
            names = ", ".join(map(repr, unread))
            look.problem = (
                f"images in the column {names} of {', '.join(look.record)}, which has no known name: read "
                f"them by --format table --set picture_column={unread[0]}, or skip them by "
                f"--format {cls.format}"
            )
        return not unread

    @classmethod
    def fits_records(cls, records: Sequence[Record]) -> bool:
        """Whether the first records look like this format, and hold no images that it would not read."""
        return cls.fits_record(records[0]) and not cls.unread_images(records)

    @classmethod
    @abstractmethod
    def fits_record(cls, record: Record) -> bool:
        """Whether a record looks like this format."""

    @classmethod
    def unread_images(cls, records: Sequence[Record]) -> list[str]:
        """Returns the columns with images that this format would not read."""
        return []

    @abstractmethod
    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        """Builds a document from a record; `path` and `offset` locate it in faults."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Document:
        record, offset = self.records[index], self.records.offset(index)
        return self.document(record, path=self.records.place(index), offset=offset)

    def image(self, value: Any, *, path: str, offset: int | None, learn: bool = True) -> Segment:
        """Reads the image of a cell: a file name, bytes, or HF's {"bytes": …, "path": …}."""
        if isinstance(value, dict):
            value = value["bytes"] if value.get("bytes") is not None else value.get("path", value.get("url"))
        if isinstance(value, bytes):
            return image_segment(value, path=path, offset=offset, learn=learn)
        file = resolve_inside(self.images, value, path=path, offset=offset)
        return image_segment(file, path=file, learn=learn)

    def caption(self, value: Any, classes: Sequence[str] | None, *, path: str, offset: int | None) -> Segment:
        """Reads the caption of a cell; a number becomes the name of its class, if the file has names."""
        if classes is not None and isinstance(value, float) and value.is_integer():
            value = int(value)  # if some values are missing, tables hold floats
        if classes is not None and isinstance(value, int):
            value = _class_name(value, classes, path=path, offset=offset)
        return text_segment(value, path=path, offset=offset)


def _class_name(number: int, classes: Sequence[str], *, path: str, offset: int | None) -> str | None:
    """The name of a class, with spaces for underscores; None for -1, which HF writes for no class."""
    if number >= len(classes) or number < -1:
        detail = f"class {number} of {len(classes)} named classes"
        raise SampleError("parts do not match", path, detail, offset=offset)
    return None if number == -1 else classes[number].replace("_", " ")


class CaptionTable(RecordReader):
    """Captioned images, one per row, such as csv files with `filepath` and `title`.

    If a caption is a list of several, also one written into a cell of csv, the first is used, with a warning;
    a list of one image is that image.

    Args:
        path, images, part: see RecordReader.
        picture_column, caption_column: if absent, the first known name, such as file_name and text, else the
            only column that names images, and the only other one of words.

    Raises:
        ValueError: there are no such columns.
    """

    image_columns: ClassVar[tuple[str, ...]] = IMAGE_COLUMNS
    format = "table"

    def __init__(
        self,
        path: str | Records,
        *,
        images: str | None = None,
        part: Split | None = None,
        picture_column: str | None = None,
        caption_column: str | None = None,
    ):
        super().__init__(path, images=images, part=part)
        names = column_names(self.records)
        guess = guess_pair(list(islice(self.records.first(), INSPECTED)), self.images)
        guessed = guess if guess and picture_column is caption_column is None else (None, None)
        self.image_column = find_column(names, picture_column, self.image_columns) or guessed[0]
        others = [name for name in names if name != self.image_column]
        self.caption_column = find_column(others, caption_column, CAPTION_COLUMNS) or guessed[1]
        for name, kind in ((self.image_column, "images"), (self.caption_column, "captions")):
            if name is None or name not in names:
                label = f"{kind} {name!r}" if name else kind
                raise ValueError(f"{self.records.path}: no column of {label} among {', '.join(names)}")
        warn_odd_captions(self.records, self.caption_column)
        warn_caption_lists(self.records, self.caption_column)
        if images is None:
            self.images = self._images_folder()

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        if super().fits(look) or any(map(cls.fits_record, look.rows[:1])):
            return True
        folder = look.path if look.path.is_dir() else look.path.parent
        return guess_pair(look.records[:INSPECTED], folder) is not None

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        image_column = find_column(list(record), None, cls.image_columns)
        others = [name for name in record if name != image_column]
        return image_column is not None and find_column(others, None, CAPTION_COLUMNS) is not None

    def _images_folder(self) -> Path:
        """Returns the file's folder, or the one in it that holds more of the first images."""
        first = islice(self.records.first(), INSPECTED)
        names = [name for record in first if isinstance(name := record.get(self.image_column), str)]
        below = [folder for folder in visible(self.images) if folder.is_dir()] if names else []
        return max(
            [self.images, *below], key=lambda folder: sum(image_exists(folder, name) for name in names)
        )

    def split_of(self, record: Record) -> Split | None:
        split, image = super().split_of(record), self.image_of(record)
        if split is not None or image is None:
            return split
        return next(filter(None, map(split_named, PurePath(image).parts[:-1])), None)

    def image_of(self, record: Record) -> str | None:
        image = record.get(self.image_column)
        return image if isinstance(image, str) else None

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        for name in (self.image_column, self.caption_column):
            if name not in record:
                raise SampleError("missing column", path, f"it has no {name!r}", offset=offset)
        cell = record[self.caption_column]
        cell = next(iter(parse_captions(cell)), cell)
        classes = self.records.classes.get(self.caption_column)
        caption = self.caption(cell, classes, path=path, offset=offset)
        image = _single_image(record[self.image_column], path=path, offset=offset)
        return caption, self.image(image, path=path, offset=offset)


def _single_image(value: Any, *, path: str, offset: int | None) -> Any:
    """Returns the only image of a list; other values are unchanged."""
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        detail = f"{len(value)} images with one caption"
        raise SampleError("parts do not match", path, detail, offset=offset)
    return value[0] if value else None


class MetadataFolder(CaptionTable):
    """A folder of images with metadata.jsonl, .csv or .parquet, in the layout of HF's `imagefolder`.

    Each row names its image by `file_name`, relative to the folder. Images that no row names are ignored.

    Args:
        path: the folder.
        caption_column: if absent, the first known name, such as text.

    Raises:
        FileNotFoundError: the folder has no metadata.
        ValueError: the metadata have no such columns.
    """

    image_columns = ("file_name", *IMAGE_COLUMNS)
    format = "imagefolder"

    def __init__(self, path: str, *, caption_column: str | None = None):
        file = find_metadata(local_path(path))
        if file is None:
            raise FileNotFoundError(f"{path}: no metadata.jsonl, metadata.csv or metadata.parquet")
        super().__init__(str(file), caption_column=caption_column)

    @classmethod
    def open(cls, path: Path, split: Split | None, /, **settings) -> Source:
        return cls._open_rows(cls(str(path), **settings), split)

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        return find_metadata(look.path) is not None


def find_metadata(path: Path) -> Path | None:
    """Finds the metadata file of a folder."""
    names = [f"metadata{suffix}" for suffix in (".jsonl", ".csv", ".parquet")]
    files = [file for file in visible(path) if file.name.casefold() in names and file.is_file()]
    return min(files, key=lambda file: names.index(file.name.casefold()), default=None)


class TextTable(RecordReader):
    """Texts, one per row, in a column of a table.

    Args:
        path, part: see RecordReader.
        text_column: if absent, the first known name, such as text.

    Raises:
        ValueError: there is no such column.
    """

    format = "texts"

    def __init__(self, path: str | Records, *, part: Split | None = None, text_column: str | None = None):
        super().__init__(path, part=part)
        names = column_names(self.records)
        self.text_column = find_column(names, text_column, CAPTION_COLUMNS)
        if self.text_column is None or self.text_column not in names:
            raise ValueError(f"{self.records.path}: no column of texts among {', '.join(names)}")
        warn_odd_captions(self.records, self.text_column)

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get(find_column(list(record), None, CAPTION_COLUMNS)), str)

    @classmethod
    def unread_images(cls, records: Sequence[Record]) -> list[str]:
        text_column = find_column(list(records[0]), None, CAPTION_COLUMNS)
        return [name for name in find_image_columns(records, known=()) if name != text_column]

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        if self.text_column not in record:
            raise SampleError("missing column", path, f"it has no {self.text_column!r}", offset=offset)
        classes = self.records.classes.get(self.text_column)
        return (self.caption(record[self.text_column], classes, path=path, offset=offset),)
