"""Plain text: one document per paragraph, line or file. Knows no markup."""

import re
from array import array
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePath
from typing import Literal

from unitok.data.faults import Fault
from unitok.data.files.list_files import folders, visible, walk
from unitok.data.files.open_records import FirstLook
from unitok.data.files.records import line_ends
from unitok.data.readers.folders import NOT_READ, UNREAD_SUFFIXES
from unitok.data.readers.segments import MAX_TEXT, text_segment
from unitok.data.readers.unread_captions import is_note, is_packed
from unitok.data.source import Reader
from unitok.document import Document

Unit = Literal["paragraph", "line", "file"]
BLANK = re.compile(rb"\n[ \t\r]*\n\s*")
SUFFIXES = (".txt", ".md")
UNREAD_SUFFIXES = (*UNREAD_SUFFIXES, ".pdf", ".npy", ".npz")
"""Suffixes of unsupported files of which a text may be the caption."""


class PlainText(Reader):
    """UTF-8 texts of a .txt file, or of all such files in a folder and those below it.

    Args:
        path: the file or folder.
        unit: a document is a "paragraph" (separated by blank lines), a "line", or a whole "file".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the files hold no text, or the unit is unknown.
    """

    format = "text"

    def __init__(self, path: str, *, unit: Unit = "paragraph"):
        self.faults: list[Fault] = []
        self.files = _files(Path(path), self.faults)
        if not self.files:
            raise FileNotFoundError(f"{path}: no {' or '.join(SUFFIXES)} files")
        if unit not in _SPLITTERS:
            raise ValueError(f"unit must be one of {', '.join(_SPLITTERS)}, got {unit!r}")
        self._maps: dict[int, mmap | bytes] = {}
        self._spans = array("q")  # file, start, end of each document
        for number in range(len(self.files)):
            content = self._content(number)
            for start, end in _SPLITTERS[unit](content):
                if content[start:end].strip():
                    self._spans.extend((number, start, end))
        if not self._spans:
            raise ValueError(f"{path}: no text")

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        return bool(_files(look.path, []))

    @classmethod
    def find_unread(cls, look: FirstLook) -> Iterator[str]:
        packed = [entry.name for entry in visible(look.path) if is_packed(entry.name)]
        yield from (f"{name} beside the texts is not read: unpack it, or save it as .csv" for name in packed)
        if image := next(_find_unread_images(look.path), None):
            yield f"{image} beside its text is not read: {NOT_READ}"
        if look.path.is_dir() and all(is_note(file.name) for file in _files(look.path, [])):
            yield "it holds nothing but documentation"

    def __len__(self) -> int:
        return len(self._spans) // 3

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number, start, end = self._spans[3 * index : 3 * index + 3]
        content = self._content(number)[start : min(end, start + MAX_TEXT + 1)]
        return (text_segment(content, path=self.files[number], offset=start),)

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


def _find_unread_images(path: Path) -> Iterator[str]:
    """Yields the names of unsupported images that have a text of the same name beside them."""
    for _, names in folders(path) if path.is_dir() else ():
        texts = {PurePath(name).stem for name in names if name.lower().endswith(SUFFIXES)}
        yield from (
            name for name in names if name.lower().endswith(UNREAD_SUFFIXES) and PurePath(name).stem in texts
        )


def _paragraphs(content: mmap | bytes) -> Iterator[tuple[int, int]]:
    start = 0
    for blank in BLANK.finditer(content):
        yield start, blank.start()
        start = blank.end()
    yield start, len(content)


def _whole(content: mmap | bytes) -> Iterator[tuple[int, int]]:
    yield 0, len(content)


_SPLITTERS = {"paragraph": _paragraphs, "line": line_ends, "file": _whole}
