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
MOST_HEADER = 2**20
"""Bytes of a long name or of extended headers that are believed."""


class Member(NamedTuple):
    """A plain file: its name, and where its bytes lie."""

    name: str
    offset: int
    size: int


class Break(NamedTuple):
    """A place where a tar is damaged; the files before and after it may be incomplete."""

    reason: Reason
    offset: int
    detail: str


def members(content: mmap | bytes) -> Iterator[Member | Break]:
    """The plain files of a tar, and its damages, in order; only headers are read.

    After a broken header the search goes on, block by block, for the next header with a right checksum. A
    file that the end cuts off is a damage. Links, folders and devices are passed over.
    """
    position, end = 0, len(content)
    extended: dict[str, str] = {}
    while position + BLOCK <= end:
        block = bytes(content[position : position + BLOCK])
        if block == ZEROS:
            position += BLOCK
            continue
        header = _header(block)
        size = None if header is None else _size(header, extended)
        if header is None or size is None:
            found = _next_header(content, position + BLOCK)
            yield Break("broken tar header", position, f"the next header is at {found}")
            position, extended = found, {}
            continue
        start, position = position + BLOCK, position + BLOCK + -(-size // BLOCK) * BLOCK
        name = extended.get("path", header.name)
        if start + size > end:
            yield Break("truncated archive", start - BLOCK, f"{name} has {end - start} of {size} bytes")
            return
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            extended |= _extension(header, bytes(content[start : start + min(size, MOST_HEADER)]))
            continue
        if header.type in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
            continue
        if header.isreg() and not name.endswith("/") and header.type != tarfile.GNUTYPE_SPARSE:
            yield Member(name, start, size)
        extended = {}
    if position > end:
        yield Break("truncated archive", end, "the last block is cut")
    elif content[position:end].strip(b"\0"):
        yield Break("truncated archive", position, f"{end - position} bytes of a header")


def _header(block: bytes) -> tarfile.TarInfo | None:
    """A block as a header, or None where it is none."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


def _next_header(content: mmap | bytes, position: int) -> int:
    """Where the next header is, or the end."""
    while (position := content.find(b"ustar", position)) >= 0:
        start = position - 257  # where its magic number lies
        if start % BLOCK == 0 and _header(bytes(content[start : start + BLOCK])) is not None:
            return start
        position += 1
    return len(content)


def _size(header: tarfile.TarInfo, extended: dict[str, str]) -> int | None:
    """Bytes of a member; extended headers tell those of 8 GB and more, and None is what they cannot mean."""
    if "size" in extended and header.isreg():
        return int(extended["size"]) if SIZE.fullmatch(extended["size"]) else None
    return 0 if header.type in WITHOUT_DATA else header.size


def _extension(header: tarfile.TarInfo, data: bytes) -> dict[str, str]:
    """What a header before a member's own says of it: a long name, or records LENGTH NAME=VALUE."""
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "backslashreplace")}
    found, start = {}, 0
    while record := RECORD.match(data, start):
        end = start + int(record[1])
        if end <= record.end():
            break
        name, equals, value = data[record.end() : end - 1].partition(b"=")
        if equals:
            found[name.decode("utf-8", "replace")] = value.decode("utf-8", "backslashreplace")
        start = end
    return found


def neighbours(found: Sequence[Member | Break], index: int) -> list[Member]:
    """The files beside a damage."""
    beside = [found[i] for i in (index - 1, index + 1) if 0 <= i < len(found)]
    return [member for member in beside if isinstance(member, Member)]
