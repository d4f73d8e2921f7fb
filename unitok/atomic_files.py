"""Atomic writes: a file or folder is written beside its place, then renamed. Knows no content.

A write that fails leaves what was there and nothing else. What a killed process left beside a place, the next
write of that place removes; what a living one is writing it never touches. The modes are the umask's.
"""

import errno
import os
import platform
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import BinaryIO
from zlib import crc32

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

WRITTEN = ".written"
"""Holds a folder's new files, complete, while they are moved to their places one by one."""
NEW = "new"
IN_USE = ".in_use"
"""A file that a process holds as long as it writes into the folder."""
LEFTOVER = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-(?P<run>[0-9a-f]{8})-[0-9a-f]{8}\.part")
RUN = secrets.token_hex(4)
"""Tells this process from an earlier one that had its number, as the first of every container has."""
LONGEST_NAME = 190
MOST_SEARCHED = 10_000
"""Names of a folder that are looked through for leftovers: a file takes no longer in a folder of millions."""
STALE = 24 * 3600
"""Seconds without a change after which what another machine was writing counts as left behind."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def file_beside(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """An empty file beside `path` to be written to, which takes its place at the end of the block.

    Args:
        path: what is to be written; missing folders above it are made, and a link is followed.
        durable: flush it to the disk first, so that not even a machine that stops costs what was there.

    Raises:
        IsADirectoryError: a folder is there.
        OSError: it cannot be written, with the name of `path`.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    beside = name_beside(target)
    try:
        with _errors_of(target, beside):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target)
            beside.touch(exist_ok=False)
            mode = beside.stat().st_mode
            yield beside
            beside.chmod(mode)  # some libraries write a file that nobody else may read
            _put(beside, target, durable=durable)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """An empty folder to be filled, whose files lie in the folder `path` from the end of the block on.

    A folder that is there keeps all else that it holds. It gets all new files or none: those that a killed
    process had not yet moved to their places, `finish_folder` moves.

    Args:
        path: the folder to be written; missing ones above it are made, and a link is followed.
        durable: flush the files to the disk first.

    Raises:
        FileExistsError: a file is in the folder's place, or a folder in a file's.
        OSError: it cannot be written, with the name of `path`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise FileExistsError(errno.EEXIST, "a file is there, no folder can be", str(path))
    place = target / NEW if target.is_dir() else target
    beside = name_beside(place)
    try:
        with _errors_of(target, beside):
            place.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(place)
            beside.mkdir()
            yield beside
            _settle(beside, durable=durable)
            if place == target:
                _put(beside, target, durable=durable)
            else:
                _move_in(beside, target, durable=durable)
    finally:
        rmtree(beside, ignore_errors=True)


def write_bytes(path: str | Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file of these bytes, as `file_beside` does."""
    with file_beside(path, durable=durable) as beside:
        beside.write_bytes(content)


def write_text(path: str | Path, text: str, *, durable: bool = False) -> None:
    """Write a file of this text in UTF-8, as `file_beside` does."""
    write_bytes(path, text.encode(), durable=durable)


def append_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Add lines to a file of lines, in one write; a line that was cut short before them stays alone."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with _errors_of(Path(path), Path(path)), open(path, "ab+") as file:
        if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")
        file.write("".join(f"{line}\n" for line in lines).encode())


@contextmanager
def alone_in(folder: str | Path) -> Iterator[None]:
    """Keeps out of a folder other processes that ask so, to the end of the block or of this process.

    Raises ValueError where another process is in it. A file system without locks keeps nobody out.
    """
    path = Path(folder) / IN_USE
    with path.open("ab") as file:
        if not _locked(file):
            raise ValueError(f"another run is writing into {folder}: give this one a folder of its own")
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()


def _locked(file: BinaryIO) -> bool:
    """Whether this process has a file for itself, as far as can be known."""
    if fcntl is None:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def finish_folder(path: str | Path) -> None:
    """Move to their places the files of a write of this folder that was killed in moving them."""
    written = Path(path) / WRITTEN
    if not written.is_dir():
        return
    found = sorted(written.rglob("*"), reverse=True)
    for file in [file for file in found if not file.is_dir()]:
        place = written.parent / file.relative_to(written)
        place.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process finishes it too
            os.replace(file, place)
    for folder in [*(folder for folder in found if folder.is_dir()), written]:
        with suppress(OSError):  # the same, or it holds the files of a later write
            folder.rmdir()


def refuse_occupied(path: str | Path, *, ours: bool, what: str) -> None:
    """Keep a write out of a folder that holds something else.

    Args:
        path: the folder to be written.
        ours: whether it holds what is written there; other files in it are then left alone.
        what: how that is called.

    Raises:
        FileExistsError: a file is there, or a folder that is not empty and not ours.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise FileExistsError(f"{path} is a file; give a folder that is empty or absent")
    names = held_by(path)
    if names and not ours:
        more = ", …" if names[3:] else ""
        raise FileExistsError(
            f"{path} holds {', '.join(names[:3])}{more} and is not {what}; give a folder that is empty or "
            "absent"
        )


def held_by(path: str | Path) -> list[str]:
    """Names in a folder, if it is there, but for those of writes that are under way or were cut off."""
    names = os.listdir(path) if os.path.isdir(path) else []
    return sorted(name for name in names if name != WRITTEN and not LEFTOVER.search(name))


def refuse_unwritable(folder: str | Path) -> None:
    """Tell before long work that its results could not be written.

    Raises:
        NotADirectoryError: the folder, or one above it, is a file.
        PermissionError: nothing may be written there.
    """
    place = Path(os.path.abspath(folder))
    there = next(above for above in (place, *place.parents) if os.path.lexists(above))
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is no folder; give one that is there or absent")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there}: no permission to write there")


def name_beside(target: Path) -> Path:
    """A name beside a file or folder that no other write has; it tells which process writes there."""
    mark = f"{_host()}-{os.getpid()}-{RUN}-{secrets.token_hex(4)}.part"
    return target.with_name(f"{_stem(target)}.{mark}")


def remove_leftovers(target: Path, *, stale: float = STALE) -> None:
    """Remove what writes of a file or folder, whose processes are gone, have left beside it.

    Args:
        target: the file or folder.
        stale: seconds without a change after which another machine's process counts as gone.
    """
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in islice(entries, MOST_SEARCHED)]
    for path in (target.with_name(name) for name in names if name.startswith(_stem(target))):
        marks = LEFTOVER.fullmatch(path.name.removeprefix(_stem(target)))
        if marks and not _under_way(path, marks, stale):
            with suppress(OSError):  # of another user, or removed meanwhile
                rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _stem(target: Path) -> str:
    name = os.fsencode(target.name)
    return f".{target.name}" if len(name) <= LONGEST_NAME else f".{crc32(name):08x}"


def _host() -> str:
    return f"{crc32(platform.node().encode()):08x}"


def _under_way(path: Path, marks: re.Match[str], stale: float) -> bool:
    process = int(marks["process"])
    if marks["host"] != _host():
        return time.time() - _last_change(path) < stale
    if process == os.getpid():
        return marks["run"] == RUN
    return _is_alive(process)


def _last_change(path: Path) -> float:
    times = [time.time()]
    with suppress(OSError):  # removed meanwhile
        times = [file.stat().st_mtime for file in (path, *path.rglob("*"))]
    return max(times)


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 ends a process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _settle(folder: Path, *, durable: bool) -> None:
    """Give the files of a new folder the modes that the umask gives, and flush them."""
    mode = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if not file.is_dir():
            file.chmod(mode)
        if durable:
            _flush(file)


def _put(beside: Path, target: Path, *, durable: bool) -> None:
    if durable:
        _flush(beside)
    os.replace(beside, target)
    if durable:
        _flush(target.parent)


def _move_in(new: Path, folder: Path, *, durable: bool) -> None:
    """Put the files of a folder into another; from the first rename on, whoever opens it can end this."""
    for file in new.rglob("*"):
        place = folder / file.relative_to(new)
        if place.is_symlink() or place.is_file() if file.is_dir() else place.is_dir():
            wanted = "a folder" if file.is_dir() else "a file"
            raise FileExistsError(errno.EEXIST, f"it is in the way of {wanted} to be written", str(place))
    finish_folder(folder)
    _put(new, folder / WRITTEN, durable=durable)
    finish_folder(folder)
    if durable:
        _flush(folder)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # elsewhere folders cannot be opened
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _errors_of(target: Path, beside: Path) -> Iterator[None]:
    """Errors of the write say where it was to go, not where it went on the way."""
    try:
        yield
    except Exception as error:
        cause = _of_full_disk(error) or error
        on_the_way = str(getattr(cause, "filename", None) or "").startswith(str(beside))
        if not isinstance(cause, OSError) or not (on_the_way or cause.errno in FULL):
            raise
        raise OSError(cause.errno, cause.strerror, str(target)) from error


def _of_full_disk(error: BaseException | None) -> OSError | None:
    """The error of a disk that takes no more, behind one of a library that cannot end its file then."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None
