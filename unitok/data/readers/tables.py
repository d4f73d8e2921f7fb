"""Tables of captioned images and of texts, in any file of records. Knows columns, no conversations."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, ClassVar

from unitok.data.faults import SampleError
from unitok.data.files.list_files import visible
from unitok.data.files.open_records import FirstLook
from unitok.data.files.records import Record, Records, column_names
from unitok.data.files.remote import local_path
from unitok.data.files.splits import Split, split_named
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
from unitok.data.readers.record_reader import RecordReader
from unitok.data.source import Source
from unitok.document import Document


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
