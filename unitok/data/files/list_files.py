"""Lists the files in and below a folder, following each link once. Knows no format."""

import os
from collections.abc import Iterator
from pathlib import Path

from unitok.data.faults import Fault

LEFT_BEHIND = {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "__pycache__", "$recycle.bin", "lost+found"}
"""What systems and programs leave in folders, in lower case."""


def counts(name: str) -> bool:
    """Whether an entry of this name is somebody's: it is not hidden, and not left by a system."""
    return not name.startswith(".") and name.casefold() not in LEFT_BEHIND


def visible(path: Path) -> list[Path]:
    """The entries of a folder that count, by name; none of what is no folder."""
    return [entry for entry in sorted(path.iterdir()) if counts(entry.name)] if path.is_dir() else []


def plain_files(path: Path, *suffixes: str) -> list[Path]:
    """The files in a folder with these suffixes, in any case, by name.

    Raises:
        ValueError: one is a pipe or a device, which nobody would wait for.
    """
    found = [entry for entry in visible(path) if entry.name.lower().endswith(suffixes) and not entry.is_dir()]
    for entry in found:
        if entry.exists() and not entry.is_file():
            raise ValueError(f"{entry}: neither a file nor a folder")
    return found


def walk(path: Path, *suffixes: str, faults: list[Fault] | None = None) -> Iterator[Path]:
    """Files with these suffixes, in any case, in a folder and those below, by name.

    Args:
        path: the folder.
        suffixes: all files without one.
        faults: gets what cannot be followed: links to nothing, closed folders, pipes and devices.
    """
    for folder, names in folders(path, faults=faults):
        yield from (folder / name for name in names if not suffixes or name.lower().endswith(suffixes))


def folders(path: Path, *, faults: list[Fault] | None = None) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below with the names of their files, each sorted.

    Links are followed, each real folder once and none above the first, so that a loop ends.
    """
    lost, waiting = [] if faults is None else faults, [path]
    seen = {_identity(above) for above in path.resolve().parents}
    while waiting:
        folder = waiting.pop()
        try:
            if (identity := _identity(folder)) in seen:
                continue
            seen.add(identity)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except NotADirectoryError:
            continue
        except OSError as error:
            lost.append(Fault("unreadable", str(folder), error.strerror or str(error)))
            continue
        entries = [entry for entry in entries if counts(entry.name)]
        below = [entry.name for entry in entries if _is_folder(entry)]
        files = [entry.name for entry in entries if _is_file(entry)]
        known = {*below, *files}
        lost += [_lost(entry) for entry in entries if entry.name not in known]
        waiting += [folder / name for name in reversed(below)]
        yield folder, files


def _identity(folder: Path) -> tuple[int, int]:
    described = os.stat(folder)
    return described.st_dev, described.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def _is_file(entry: os.DirEntry) -> bool:
    return entry.is_file(follow_symlinks=False) or (entry.is_symlink() and os.path.isfile(entry.path))


def _lost(entry: os.DirEntry) -> Fault:
    if entry.is_symlink() and not os.path.exists(entry.path):
        return Fault("missing file", entry.path, f"a link to {os.readlink(entry.path)}, which is not there")
    return Fault("unreadable", entry.path, "neither a file nor a folder")
