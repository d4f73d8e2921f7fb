"""An index of the files in a tar, also of a damaged one. Knows no samples; extracts nothing."""

import re
import tarfile
from collections.abc import Iterator, Sequence
from mmap import mmap
from typing import NamedTuple

from unitok.data.faults import Reason

BLOCK = tarfile.BLOCKSIZE
ZEROS = bytes(BLOCK)
LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
WITHOUT_DATA = (*LINKS, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
RECORD, SIZE = re.compile(rb"(\d{1,7}) "), re.compile(r"[0-9]{1,19}")
MAX_HEADER = 2**20
"""Most bytes of a long name or of extended headers."""


class Member(NamedTuple):
    """A regular file: its name, and the location of its bytes."""

    name: str
    offset: int
    size: int


class Damage(NamedTuple):
    """Damage at a place of a tar; the files before and after it may be incomplete."""

    reason: Reason
    offset: int
    detail: str


def members(content: mmap | bytes) -> Iterator[Member | Damage]:
    """Yields the regular files of a tar, and its damage, in order; only headers are read.

    After a corrupt header, the next header with a valid checksum is searched block by block. A file that is
    cut off by the end is damage. Links, folders and devices are skipped.
    """
    position, end = 0, len(content)
    extended: dict[str, str] = {}
    while position + BLOCK <= end:
        block = bytes(content[position : position + BLOCK])
        if block == ZEROS:
            position += BLOCK
            continue
        header = _parse_header(block)
        size = None if header is None else _data_size(header, extended)
        if header is None or size is None:
            following = _next_header(content, position + BLOCK)
            yield Damage("broken tar header", position, f"the next header is at {following}")
            position, extended = following, {}
            continue
        start, position = position + BLOCK, position + BLOCK + -(-size // BLOCK) * BLOCK
        name = extended.get("path", header.name)
        if start + size > end:
            yield Damage("truncated archive", start - BLOCK, f"{name} has {end - start} of {size} bytes")
            return
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            extended |= _parse_extension(header, bytes(content[start : start + min(size, MAX_HEADER)]))
            continue
        if header.type in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
            continue
        if header.isreg() and not name.endswith("/") and header.type != tarfile.GNUTYPE_SPARSE:
            yield Member(name, start, size)
        extended = {}
    if position > end:
        yield Damage("truncated archive", end, "the last block is truncated")
    elif content[position:end].strip(b"\0"):
        yield Damage("truncated archive", position, f"{end - position} bytes of a header")


def _parse_header(block: bytes) -> tarfile.TarInfo | None:
    """Parses a block as a header; None if it is not one."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


def _next_header(content: mmap | bytes, position: int) -> int:
    """Returns the offset of the next header, or the end."""
    while (position := content.find(b"ustar", position)) >= 0:
        start = position - 257  # the offset of the magic number
        if start % BLOCK == 0 and _parse_header(bytes(content[start : start + BLOCK])) is not None:
            return start
        position += 1
    return len(content)


def _data_size(header: tarfile.TarInfo, extended: dict[str, str]) -> int | None:
    """The size of a member, from extended headers if it is 8 GB or more; None if these are invalid."""
    if "size" in extended and header.isreg():
        return int(extended["size"]) if SIZE.fullmatch(extended["size"]) else None
    return 0 if header.type in WITHOUT_DATA else header.size


def _parse_extension(header: tarfile.TarInfo, data: bytes) -> dict[str, str]:
    """Parses a header that precedes a member's own: a long name, or records LENGTH NAME=VALUE."""
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "backslashreplace")}
    values, start = {}, 0
    while record := RECORD.match(data, start):
        end = start + int(record[1])
        if end <= record.end():
            break
        name, equals, value = data[record.end() : end - 1].partition(b"=")
        if equals:
            values[name.decode("utf-8", "replace")] = value.decode("utf-8", "backslashreplace")
        start = end
    return values


def neighbours(entries: Sequence[Member | Damage], index: int) -> list[Member]:
    """The files before and after a damaged place."""
    beside = [entries[i] for i in (index - 1, index + 1) if 0 <= i < len(entries)]
    return [member for member in beside if isinstance(member, Member)]
