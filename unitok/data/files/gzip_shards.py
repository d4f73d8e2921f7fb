"""Memory-maps shards; a .gz is decompressed to a private file first.

Knows no tar.
"""

import math
import os
import tempfile
import weakref
import zlib
from contextlib import suppress
from functools import cache
from gzip import BadGzipFile, GzipFile
from mmap import ACCESS_READ, mmap
from pathlib import Path

from unitok.atomic_files import name_beside, remove_leftovers
from unitok.data.files.tar import Break

AT_ONCE = 2**20
RATIO = 100
"""Times that a .gz may grow; pictures grow by little, texts by ten, a bomb by a thousand."""
SMALL = 2**26
"""Bytes that any .gz may have unpacked."""


class Unpacked:
    """The bytes of a file, or of what a .gz holds: up to where it is damaged, which `broken` then says.

    Workers share the unpacked file; it goes when the process that made it does, and where that was killed,
    when the next one unpacks something.
    """

    def __init__(self, path: Path):
        self.path = self.plain = path
        self.broken: Break | None = None
        self._map: mmap | bytes | None = None
        if path.name.lower().endswith((".gz", ".tgz")):
            self._unpack()

    def _unpack(self) -> None:
        place = Path(tempfile.gettempdir()) / "unitok.tar"
        _tidy(place)
        self.plain = name_beside(place)
        self._remove = weakref.finalize(self, _remove, self.plain, os.getpid())
        try:
            with open(self.plain, "xb", opener=_private) as out:
                self.broken = unpack(self.path, out)
        except OSError as error:
            self._remove()
            where = f"{self.path}, unpacked into {place.parent}"
            raise OSError(error.errno, error.strerror, where) from error

    @property
    def content(self) -> mmap | bytes:
        """Everything; it has no position that processes could share."""
        if self._map is None:
            if self.plain != self.path and not self.plain.exists():  # its process has ended
                self._unpack()
            with self.plain.open("rb") as file:
                empty = os.fstat(file.fileno()).st_size == 0
                self._map = b"" if empty else mmap(file.fileno(), 0, access=ACCESS_READ)
        return self._map

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_remove"} | {"_map": None}


def unpack(path: Path, out) -> Break | None:
    """Write what a .gz holds; returns where and how it is damaged, or None."""
    most, written = max(SMALL, RATIO * path.stat().st_size), 0
    try:
        with GzipFile(path) as file:
            while data := file.read1(AT_ONCE):
                out.write(data)
                written += len(data)
                if written > most:
                    return Break("archive too large", written, f"it unpacks to more than {most} bytes")
    except EOFError as error:
        return Break("truncated archive", written, str(error))
    except (BadGzipFile, zlib.error) as error:
        return Break("damaged archive", written, str(error))
    return None


@cache
def _tidy(place: Path) -> None:
    """Remove what killed processes have left; once, since a temporary folder may hold much else."""
    with suppress(OSError):  # it may not be listed
        remove_leftovers(place, stale=math.inf)  # another machine's is read as long as its run takes


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        path.unlink(missing_ok=True)
