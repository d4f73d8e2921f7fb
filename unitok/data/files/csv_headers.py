"""Separator and column names from the first line of a csv."""

import csv
import re
from typing import NamedTuple

from unitok.data.files.images import PICTURES

SEPARATORS = (",", "\t", ";", "|")
SHOWN = re.compile(rf"({'|'.join(map(re.escape, PICTURES))})(#\d+)?$", re.IGNORECASE)
"""How the name of a picture ends; Flickr's lists of captions number them after it."""


class Header(NamedTuple):
    """The columns; `spaced` where blanks stand around their names, `absent` where the line is a row."""

    separator: str
    columns: list[str]
    spaced: bool
    absent: bool


def read_header(line: str, *, usual: str) -> Header:
    """The header that a line is; `usual` separates where no other letter makes more columns."""
    separators = (usual, *(letter for letter in SEPARATORS if letter != usual))
    separator = max(separators, key=lambda letter: len(_fields(line, letter)))
    fields = _fields(line, separator)
    names = [field.strip() for field in fields]
    absent = any(SHOWN.search(name) for name in names)
    spaced = not absent and any(name != field for name, field in zip(names, fields, strict=True))
    return Header(separator, _named(names) if absent else names, spaced, absent)


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _named(fields: list[str]) -> list[str]:
    """Names for columns that have none: the picture's, and of two the caption's."""
    place = next(number for number, field in enumerate(fields) if SHOWN.search(field))
    others = "caption" if len(fields) == 2 else "column {}"
    return ["image" if number == place else others.format(number + 1) for number in range(len(fields))]
