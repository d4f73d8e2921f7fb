"""Memory-maps shards; a .gz is decompressed to a private file first. Knows no tar."""

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

from unitok.atomic_files import remove_leftovers, temporary_name
from unitok.data.files.tar import Damage

CHUNK = 2**20
MAX_RATIO = 100
"""Most growth of a .gz; images hardly grow, texts by ten, a decompression bomb by a thousand."""
ALWAYS_ALLOWED = 2**26
"""Unpacked bytes that any .gz may have."""


class UnpackedFile:
    """The bytes of a file, or the unpacked bytes of a .gz, up to the place where it is damaged (`damage`).

    Workers share the unpacked file. It is removed with the process that made it, or if that was killed, when
    another process unpacks something.
    """

    def __init__(self, path: Path):
        self.path = self.plain = path
        self.damage: Damage | None = None
        self._map: mmap | bytes | None = None
        if path.name.lower().endswith((".gz", ".tgz")):
            self._unpack()

    def _unpack(self) -> None:
        place = Path(tempfile.gettempdir()) / "unitok.tar"
        _remove_stale(place)
        self.plain = temporary_name(place)
        self._remove = weakref.finalize(self, _remove, self.plain, os.getpid())
        try:
            with open(self.plain, "xb", opener=_private) as out:
                self.damage = unpack(self.path, out)
        except OSError as error:
            self._remove()
            where = f"{self.path}, unpacked into {place.parent}"
            raise OSError(error.errno, error.strerror, where) from error

    @property
    def content(self) -> mmap | bytes:
        """All bytes, mapped: unlike a file, a map has no position that processes would share."""
        if self._map is None:
            if self.plain != self.path and not self.plain.exists():  # the process that made it has ended
                self._unpack()
            with self.plain.open("rb") as file:
                empty = os.fstat(file.fileno()).st_size == 0
                self._map = b"" if empty else mmap(file.fileno(), 0, access=ACCESS_READ)
        return self._map

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_remove"} | {"_map": None}


def unpack(path: Path, out) -> Damage | None:
    """Unpacks a .gz into `out`; returns its damage, or None."""
    limit, written = max(ALWAYS_ALLOWED, MAX_RATIO * path.stat().st_size), 0
    try:
        with GzipFile(path) as file:
            while data := file.read1(CHUNK):
                out.write(data)
                written += len(data)
                if written > limit:
                    return Damage("archive too large", written, f"it unpacks to more than {limit} bytes")
    except EOFError as error:
        return Damage("truncated archive", written, str(error))
    except (BadGzipFile, zlib.error) as error:
        return Damage("damaged archive", written, str(error))
    return None


@cache
def _remove_stale(place: Path) -> None:
    """Removes the files of killed processes; only once, since a temporary folder may be large."""
    with suppress(OSError):  # the folder may not be readable
        remove_leftovers(place, stale=math.inf)  # files of another machine may be in use however old


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        path.unlink(missing_ok=True)
