"""Separator and column names from the first line of a csv."""

import csv
import re
from typing import NamedTuple

from unitok.data.files.images import IMAGE_SUFFIXES

SEPARATORS = (",", "\t", ";", "|")
IMAGE_NAME_END = re.compile(rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})(#\d+)?$", re.IGNORECASE)
"""The end of an image name; Flickr's lists of captions append the caption's number."""


class Header(NamedTuple):
    """The columns; `spaced` if blanks surround their names, `absent` if the line is already a row."""

    separator: str
    columns: list[str]
    spaced: bool
    absent: bool


def read_header(line: str, *, usual: str) -> Header:
    """Parses a line as a header; `usual` is the separator unless another character makes more columns."""
    separators = (usual, *(letter for letter in SEPARATORS if letter != usual))
    separator = max(separators, key=lambda letter: len(_fields(line, letter)))
    fields = _fields(line, separator)
    names = [field.strip() for field in fields]
    absent = any(IMAGE_NAME_END.search(name) for name in names)
    spaced = not absent and any(name != field for name, field in zip(names, fields, strict=True))
    return Header(separator, _name_columns(names) if absent else names, spaced, absent)


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _name_columns(fields: list[str]) -> list[str]:
    """Names the columns of a table without a header: the image's, and the caption's if there are two."""
    place = next(number for number, field in enumerate(fields) if IMAGE_NAME_END.search(field))
    others = "caption" if len(fields) == 2 else "column {}"
    return ["image" if number == place else others.format(number + 1) for number in range(len(fields))]
