"""An image file that its decoder may read only so often: bounds JPEG scans and TIFF tiles.

The work of a decoder is not bounded by the size of an image: a few bytes can make it process all pixels again
(a JPEG's scans), or all bytes (values of a TIFF's tags, which may overlap). Knows no pixels.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

MAX_SCANS = 100
"""Most scans of a JPEG; a progressive one has about ten, and libtiff has the same limit."""
MAX_TILES = 2**18
"""Most tiles or strips of a TIFF: more than one strip per pixel row."""
MAX_READS_OPENING, MAX_READS_LOADING = 20_000, 2**21
"""Most reads while a file is opened, and while its pixels are loaded."""
MAX_REREADS, SPARE_BYTES = 3, 2**20
"""How often a file's bytes may be read in each of the two phases, and how many bytes beyond that."""
SEGMENT = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd8])")
TILE_TAGS = (273, 279, 324, 325)
"""Tags of a TIFF that hold the offsets and sizes of its strips or tiles."""


class TooCostly(ValueError):
    """A file that would take its decoder far more work than its image justifies."""


class BoundedFile:
    """A binary file that may be read only so often, then raises TooCostly."""

    def __init__(self, file: BinaryIO | BytesIO):
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        place = file.tell()
        self._size = file.seek(0, 2) - place
        file.seek(place)
        self._allow(MAX_READS_OPENING)

    def _allow(self, reads: int) -> None:
        self._reads, self._bytes = reads, MAX_REREADS * self._size + SPARE_BYTES

    def begin_loading(self) -> None:
        """Sets the limits for loading pixels."""
        self._allow(MAX_READS_LOADING)

    def read(self, size: int = -1) -> bytes:
        """Reads as from any file. Raises TooCostly beyond the limits."""
        content = self._file.read(size)
        self._reads -= 1
        self._bytes -= len(content)
        if self._reads < 0:
            raise TooCostly("its content is in too many pieces")
        if self._bytes < 0:
            raise TooCostly("its parts overlap: the same bytes would be read again and again")
        return content

    def check_tiles(self) -> None:
        """Raises TooCostly for a TIFF with more than MAX_TILES tiles."""
        place = self.tell()
        if any(tag in TILE_TAGS and count > MAX_TILES for tag, count in _read_tags(self._file)):
            raise TooCostly(f"it has more than {MAX_TILES} tiles or strips")
        self.seek(place)

    def check_scans(self) -> None:
        """Raises TooCostly for a JPEG with more than MAX_SCANS scans."""
        self.seek(0)
        if count_scans(self.read()) > MAX_SCANS:
            raise TooCostly(f"it has more than {MAX_SCANS} scans")


def count_scans(jpeg: bytes) -> int:
    """Counts the scans of a JPEG, up to one more than MAX_SCANS.

    Parses as libjpeg does: a scan ends at the next marker, and the content of a segment is no scan.
    """
    if jpeg.count(b"\xff\xda") <= MAX_SCANS:
        return jpeg.count(b"\xff\xda")
    count = place = 0
    while count <= MAX_SCANS and (match := SEGMENT.search(jpeg, place)) and match[1] != b"\xd9":
        count += match[1] == b"\xda"
        place = match.end() + int.from_bytes(jpeg[match.end() : match.end() + 2], "big")
    return count


def _read_tags(file: BinaryIO | BytesIO) -> Iterator[tuple[int, int]]:
    """Yields (tag, number of values) of the first directory of a TIFF or BigTIFF; nothing for other files."""
    head = file.read(16)
    if head[:2] not in (b"II", b"MM") or not {42, 43} & set(head[2:4]):
        return
    order, wide = "little" if head[:2] == b"II" else "big", 43 in head[2:4]
    first, number, entry = (slice(8, 16), 8, 20) if wide else (slice(4, 8), 2, 12)
    file.seek(int.from_bytes(head[first], order))
    for _ in range(min(int.from_bytes(file.read(number), order), 2**16)):
        tag = file.read(entry)
        yield int.from_bytes(tag[:2], order), int.from_bytes(tag[4 : 12 if wide else 8], order)
