"""An image file that its decoder may read only so often: bounds JPEG scans and TIFF tiles.

The work of a decoder is not bounded by the size of a picture: a few bytes may ask it to go through all
pixels again (a JPEG's scans), or through all bytes (values of a TIFF's tags, which may lie over each other).
Knows no pixels.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

MOST_SCANS = 100
"""Scans of a JPEG; a progressive one has about ten, and libtiff draws the line here too."""
MOST_TILES = 2**18
"""Tiles or strips of a TIFF: more than a row each."""
OPENING, LOADING = 20_000, 2**21
"""Most reads while a file is opened, and while its pixels are loaded."""
AGAIN, SPARE = 3, 2**20
"""How often the bytes of a file may be read in each of the two, and so many bytes more."""
SEGMENT = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd8])")
TILES = (273, 279, 324, 325)
"""Tags of a TIFF that say where its strips or tiles are, and how many bytes each has."""


class TooCostly(ValueError):
    """A file whose decoder would work for much longer than its picture is worth."""


class BoundedFile:
    """A binary file that ends reading which goes on and on. Raises TooCostly where it is read so."""

    def __init__(self, file: BinaryIO | BytesIO):
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        place = file.tell()
        self._size = file.seek(0, 2) - place
        file.seek(place)
        self._allow(OPENING)

    def _allow(self, reads: int) -> None:
        self._reads, self._bytes = reads, AGAIN * self._size + SPARE

    def load(self) -> None:
        """From here on pixels are loaded."""
        self._allow(LOADING)

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        content = self._file.read(size)
        self._reads -= 1
        self._bytes -= len(content)
        if self._reads < 0:
            raise TooCostly("its content is cut into too many pieces")
        if self._bytes < 0:
            raise TooCostly("its parts lie over each other: the same bytes would be read again and again")
        return content

    def check_tiles(self) -> None:
        """Raises TooCostly for a TIFF of more tiles than MOST_TILES."""
        place = self.tell()
        if any(tag in TILES and count > MOST_TILES for tag, count in _tags(self._file)):
            raise TooCostly(f"it has more than {MOST_TILES} tiles or strips")
        self.seek(place)

    def check_scans(self) -> None:
        """Raises TooCostly for a JPEG of more scans than MOST_SCANS."""
        self.seek(0)
        if scans(self.read()) > MOST_SCANS:
            raise TooCostly(f"it has more than {MOST_SCANS} scans")


def scans(jpeg: bytes) -> int:
    """How many scans a JPEG has, counted up to one more than MOST_SCANS.

    It is walked through as libjpeg does: a scan ends at the next marker, what a segment holds is none.
    """
    if jpeg.count(b"\xff\xda") <= MOST_SCANS:
        return jpeg.count(b"\xff\xda")
    count = place = 0
    while count <= MOST_SCANS and (found := SEGMENT.search(jpeg, place)) and found[1] != b"\xd9":
        count += found[1] == b"\xda"
        place = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
    return count


def _tags(file: BinaryIO | BytesIO) -> Iterator[tuple[int, int]]:
    """(tag, number of values) in the first directory of a TIFF, or BigTIFF; nothing of another file."""
    head = file.read(16)
    if head[:2] not in (b"II", b"MM") or not {42, 43} & set(head[2:4]):
        return
    order, wide = "little" if head[:2] == b"II" else "big", 43 in head[2:4]
    first, number, entry = (slice(8, 16), 8, 20) if wide else (slice(4, 8), 2, 12)
    file.seek(int.from_bytes(head[first], order))
    for _ in range(min(int.from_bytes(file.read(number), order), 2**16)):
        tag = file.read(entry)
        yield int.from_bytes(tag[:2], order), int.from_bytes(tag[4 : 12 if wide else 8], order)
