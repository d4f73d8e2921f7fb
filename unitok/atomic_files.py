"""Atomic writes: a file or folder is written beside its place, then renamed. Knows no content.

A failed write leaves the previous content and nothing else. The next write of a place removes what a killed
process left beside it, but never the files of a running one. Modes follow the umask.
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

STAGING = ".written"
"""Subfolder of a folder's complete new files, while they are moved to their places one by one."""
NEW = "new"
IN_USE = ".in_use"
"""A file that a process keeps locked while it writes into the folder."""
LEFTOVER = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-(?P<run>[0-9a-f]{8})-[0-9a-f]{8}\.part")
RUN = secrets.token_hex(4)
"""Distinguishes this process from an earlier one with its id, which first processes of containers share."""
MAX_NAME = 190
MAX_SEARCHED = 10_000
"""Most names of a folder that are searched for leftovers, so that a write stays fast among millions."""
STALE = 24 * 3600
"""Seconds without a change after which another machine's temporary file counts as left behind."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Yields an empty temporary file, which replaces `path` at the end of the block.

    Args:
        path: the file to write; missing parent folders are made, and a link is followed.
        durable: flush the file to the disk first, so that the old content survives even a power failure.

    Raises:
        IsADirectoryError: the path is a folder.
        OSError: the file cannot be written; the error names `path`.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = temporary_name(target)
    try:
        with _name_target_in_errors(target, temporary):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target)
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)  # some libraries write a file that nobody else may read
            _replace(temporary, target, durable=durable)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder, whose files are moved into the folder `path` at the end of the block.

    An existing folder keeps its other files. It gets all new files or none: if a process is killed while it
    moves them, `finish_folder` moves the rest.

    Args:
        path: the folder to write; missing parent folders are made, and a link is followed.
        durable: flush the files to the disk first.

    Raises:
        FileExistsError: a file is in the folder's place, or a folder in a file's.
        OSError: the folder cannot be written; the error names `path`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise FileExistsError(errno.EEXIST, "must be a folder, got a file", str(path))
    place = target / NEW if target.is_dir() else target
    temporary = temporary_name(place)
    try:
        with _name_target_in_errors(target, temporary):
            place.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(place)
            temporary.mkdir()
            yield temporary
            _set_modes(temporary, durable=durable)
            if place == target:
                _replace(temporary, target, durable=durable)
            else:
                _move_in(temporary, target, durable=durable)
    finally:
        rmtree(temporary, ignore_errors=True)


def write_bytes(path: str | Path, content: bytes, *, durable: bool = False) -> None:
    """Writes bytes to a file, by `atomic_file`."""
    with atomic_file(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str, *, durable: bool = False) -> None:
    """Writes text to a file in UTF-8, by `atomic_file`."""
    write_bytes(path, text.encode(), durable=durable)


def append_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Appends lines to a file in one write; if its last line was cut short, it is ended first."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with _name_target_in_errors(Path(path), Path(path)), open(path, "ab+") as file:
        if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")
        file.write("".join(f"{line}\n" for line in lines).encode())


@contextmanager
def lock_folder(folder: str | Path) -> Iterator[None]:
    """Locks a folder against other processes that lock it, until the end of the block or of this process.

    Raises ValueError if another process has locked it. On a file system without locks, all processes succeed.
    """
    path = Path(folder) / IN_USE
    with path.open("ab") as file:
        if not _try_lock(file):
            raise ValueError(f"{folder}: another run is writing here; give this one its own folder")
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()


def _try_lock(file: BinaryIO) -> bool:
    """Tries to lock a file; False only if another process has locked it."""
    if fcntl is None:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def finish_folder(path: str | Path) -> None:
    """Completes a write of this folder that was killed while it moved files to their places."""
    staging = Path(path) / STAGING
    if not staging.is_dir():
        return
    entries = sorted(staging.rglob("*"), reverse=True)
    for file in [entry for entry in entries if not entry.is_dir()]:
        place = staging.parent / file.relative_to(staging)
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process completes it too
            os.replace(file, place)
    for folder in [*(entry for entry in entries if entry.is_dir()), staging]:
        with suppress(OSError):  # the same, or it holds the files of a later write
            folder.rmdir()


def refuse_occupied(path: str | Path, *, ours: bool, what: str) -> None:
    """Refuses to write into a folder that holds something else.

    Args:
        path: the folder to write.
        ours: whether its content is of the kind to be written; other files in it are then kept.
        what: the name of that kind, for the message.

    Raises:
        FileExistsError: the path is a file, or a folder that is neither empty nor ours.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise FileExistsError(f"{path}: must be a folder that is empty or absent, got a file")
    names = list_entries(path)
    if names and not ours:
        more = ", …" if names[3:] else ""
        raise FileExistsError(
            f"{path}: holds {', '.join(names[:3])}{more} and is not {what}; give a folder that is empty or "
            "absent"
        )


def list_entries(path: str | Path) -> list[str]:
    """Lists the names in a folder, if it exists, without those of running or interrupted writes."""
    names = os.listdir(path) if os.path.isdir(path) else []
    return sorted(name for name in names if name != STAGING and not LEFTOVER.search(name))


def refuse_unwritable(folder: str | Path) -> None:
    """Checks before long work that its results can be written.

    Raises:
        NotADirectoryError: the folder, or a parent, is a file.
        PermissionError: the folder is not writable.
    """
    place = Path(os.path.abspath(folder))
    existing = next(path for path in (place, *place.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing}: must be a folder or absent, got a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(f"{existing}: no permission to write")


def temporary_name(target: Path) -> Path:
    """Returns a unique name beside a file or folder, which identifies the process that writes there."""
    mark = f"{_host()}-{os.getpid()}-{RUN}-{secrets.token_hex(4)}.part"
    return target.with_name(f"{_stem(target)}.{mark}")


def remove_leftovers(target: Path, *, stale: float = STALE) -> None:
    """Removes the temporary files that ended processes have left beside a file or folder.

    Args:
        target: the file or folder.
        stale: seconds without a change after which a process of another machine counts as ended.
    """
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in islice(entries, MAX_SEARCHED)]
    for path in (target.with_name(name) for name in names if name.startswith(_stem(target))):
        marks = LEFTOVER.fullmatch(path.name.removeprefix(_stem(target)))
        if marks and not _is_in_progress(path, marks, stale):
            with suppress(OSError):  # another user's, or removed meanwhile
                rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _stem(target: Path) -> str:
    name = os.fsencode(target.name)
    return f".{target.name}" if len(name) <= MAX_NAME else f".{crc32(name):08x}"


def _host() -> str:
    return f"{crc32(platform.node().encode()):08x}"


def _is_in_progress(path: Path, marks: re.Match[str], stale: float) -> bool:
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
    if os.name != "posix":  # on Windows signal 0 ends a process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _set_modes(folder: Path, *, durable: bool) -> None:
    """Sets the modes of a new folder's files by the umask, and flushes them if `durable`."""
    mode = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if not file.is_dir():
            file.chmod(mode)
        if durable:
            _flush(file)


def _replace(temporary: Path, target: Path, *, durable: bool) -> None:
    if durable:
        _flush(temporary)
    os.replace(temporary, target)
    if durable:
        _flush(target.parent)


def _move_in(new: Path, folder: Path, *, durable: bool) -> None:
    """Moves the files of a folder into another; after the first rename, `finish_folder` can complete this."""
    for file in new.rglob("*"):
        place = folder / file.relative_to(new)
        if place.is_symlink() or place.is_file() if file.is_dir() else place.is_dir():
            kind = "a folder" if file.is_dir() else "a file"
            raise FileExistsError(errno.EEXIST, f"must be {kind} to be replaced", str(place))
    finish_folder(folder)
    _replace(new, folder / STAGING, durable=durable)
    finish_folder(folder)
    if durable:
        _flush(folder)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # on Windows folders cannot be opened
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _name_target_in_errors(target: Path, temporary: Path) -> Iterator[None]:
    """Makes errors of a write name its target, not the temporary file."""
    try:
        yield
    except Exception as error:
        cause = _find_full_disk_error(error) or error
        is_temporary = str(getattr(cause, "filename", None) or "").startswith(str(temporary))
        if not isinstance(cause, OSError) or not (is_temporary or cause.errno in FULL):
            raise
        raise OSError(cause.errno, cause.strerror, str(target)) from error


def _find_full_disk_error(error: BaseException | None) -> OSError | None:
    """Finds the error of a full disk behind that of a library which cannot close its file because of it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None
