"""Plain text: one document per paragraph, line or file. Knows no markup."""

import re
from array import array
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePath
from typing import Literal

from unitok.data.faults import Fault
from unitok.data.files.list_files import folders, visible, walk
from unitok.data.files.open_records import Look
from unitok.data.files.records import line_ends
from unitok.data.readers.folders import FOREIGN, NOT_READ
from unitok.data.readers.segments import MOST_TEXT, text
from unitok.data.readers.unread_captions import is_note, is_packed
from unitok.data.source import Reader
from unitok.document import Document

Unit = Literal["paragraph", "line", "file"]
BLANK = re.compile(rb"\n[ \t\r]*\n\s*")
SUFFIXES = (".txt", ".md")
NOT_SHOWN = (*FOREIGN, ".pdf", ".npy", ".npz")
"""Suffixes of what a text may be the caption of, and is not read."""


class PlainText(Reader):
    """UTF-8 texts of a .txt file, or of all in a folder and those below it.

    Args:
        path: the file or folder.
        unit: a document is a "paragraph" (blank lines are between them), a "line", or a whole "file".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the files hold no text, or the unit is unknown.
    """

    format = "text"
    looks_like = "a .txt or .md file, or a folder of them without pictures"

    def __init__(self, path: str, *, unit: Unit = "paragraph"):
        self.faults: list[Fault] = []
        self.files = _files(Path(path), self.faults)
        if not self.files:
            raise FileNotFoundError(f"{path}: no {' or '.join(SUFFIXES)} here")
        if unit not in _CUTS:
            raise ValueError(f"unit is one of {', '.join(_CUTS)}, not {unit!r}")
        self._maps: dict[int, mmap | bytes] = {}
        self._places = array("q")  # file, start, end of each document
        for number in range(len(self.files)):
            content = self._content(number)
            for start, end in _CUTS[unit](content):
                if content[start:end].strip():
                    self._places.extend((number, start, end))
        if not self._places:
            raise ValueError(f"{path}: it has no text")

    @classmethod
    def fits(cls, look: Look) -> bool:
        return bool(_files(look.path, []))

    @classmethod
    def overlooked(cls, look: Look) -> Iterator[str]:
        packed = [entry.name for entry in visible(look.path) if is_packed(entry.name)]
        yield from (f"{name} lies unread beside the texts: unpack it, or save it as .csv" for name in packed)
        if shown := next(_beside(look.path), None):
            yield f"{shown} lies unread beside its text: {NOT_READ}"
        if look.path.is_dir() and all(is_note(file.name) for file in _files(look.path, [])):
            yield "it holds nothing but notes for people"

    def __len__(self) -> int:
        return len(self._places) // 3

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number, start, end = self._places[3 * index : 3 * index + 3]
        content = self._content(number)[start : min(end, start + MOST_TEXT + 1)]
        return (text(content, path=self.files[number], offset=start),)

    def _content(self, number: int) -> mmap | bytes:
        if number not in self._maps:
            with self.files[number].open("rb") as file:
                empty = not file.read(1)
                self._maps[number] = b"" if empty else mmap(file.fileno(), 0, access=ACCESS_READ)
        return self._maps[number]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}}


def _files(path: Path, faults: list[Fault]) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else []
    return sorted(walk(path, *SUFFIXES, faults=faults))


def _beside(path: Path) -> Iterator[str]:
    """Names of files beside texts of the same name that are images of a kind that is not read."""
    for _, names in folders(path) if path.is_dir() else ():
        texts = {PurePath(name).stem for name in names if name.lower().endswith(SUFFIXES)}
        yield from (
            name for name in names if name.lower().endswith(NOT_SHOWN) and PurePath(name).stem in texts
        )


def _paragraphs(content: mmap | bytes) -> Iterator[tuple[int, int]]:
    start = 0
    for blank in BLANK.finditer(content):
        yield start, blank.start()
        start = blank.end()
    yield start, len(content)


def _whole(content: mmap | bytes) -> Iterator[tuple[int, int]]:
    yield 0, len(content)


_CUTS = {"paragraph": _paragraphs, "line": line_ends, "file": _whole}
