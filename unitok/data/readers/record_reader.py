"""The base of what reads any file of records: a document per record. Knows no column but those of splits."""

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unitok.data.faults import SampleError
from unitok.data.files.arrow import ParquetRows, SavedRows
from unitok.data.files.open_records import FirstLook, open_records, parquet_files
from unitok.data.files.records import Record, Records, iterate
from unitok.data.files.remote import local_path
from unitok.data.files.splits import SPLITS, Split, group_by_split, split_named
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
