"""Lists the files in and below a folder, following each link once. Knows no format."""

import os
from collections.abc import Iterator
from pathlib import Path

from unitok.data.faults import Fault

SYSTEM_FILES = {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "__pycache__", "$recycle.bin", "lost+found"}
"""Files that operating systems and programs leave in folders, in lower case."""


def is_relevant(name: str) -> bool:
    """Whether an entry of this name is a user's: neither hidden nor left by a system."""
    return not name.startswith(".") and name.casefold() not in SYSTEM_FILES


def visible(path: Path) -> list[Path]:
    """Lists the relevant entries of a folder, by name; empty for anything else."""
    return [entry for entry in sorted(path.iterdir()) if is_relevant(entry.name)] if path.is_dir() else []


def plain_files(path: Path, *suffixes: str) -> list[Path]:
    """Lists the files in a folder with these suffixes, in any case, by name.

    Raises:
        ValueError: one is a pipe or a device, which could block forever.
    """
    files = [entry for entry in visible(path) if entry.name.lower().endswith(suffixes) and not entry.is_dir()]
    for file in files:
        if file.exists() and not file.is_file():
            raise ValueError(f"{file}: neither a file nor a folder")
    return files


def walk(path: Path, *suffixes: str, faults: list[Fault] | None = None) -> Iterator[Path]:
    """Yields the files with these suffixes, in any case, in a folder and those below, by name.

    Args:
        path: the folder.
        suffixes: if there are none, all files are listed.
        faults: receives what cannot be read: broken links, folders without permission, pipes and devices.
    """
    for folder, names in folders(path, faults=faults):
        yield from (folder / name for name in names if not suffixes or name.lower().endswith(suffixes))


def folders(path: Path, *, faults: list[Fault] | None = None) -> Iterator[tuple[Path, list[str]]]:
    """Yields a folder and those below with the names of their files, each sorted.

    Links are followed, each real folder once and none above the first, so that loops end.
    """
    faults, pending = [] if faults is None else faults, [path]
    seen = {_identity(parent) for parent in path.resolve().parents}
    while pending:
        folder = pending.pop()
        try:
            if (identity := _identity(folder)) in seen:
                continue
            seen.add(identity)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except NotADirectoryError:
            continue
        except OSError as error:
            faults.append(Fault("unreadable", str(folder), error.strerror or str(error)))
            continue
        entries = [entry for entry in entries if is_relevant(entry.name)]
        below = [entry.name for entry in entries if _is_folder(entry)]
        files = [entry.name for entry in entries if _is_file(entry)]
        known = {*below, *files}
        faults += [_fault_of(entry) for entry in entries if entry.name not in known]
        pending += [folder / name for name in reversed(below)]
        yield folder, files


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def _is_file(entry: os.DirEntry) -> bool:
    return entry.is_file(follow_symlinks=False) or (entry.is_symlink() and os.path.isfile(entry.path))


def _fault_of(entry: os.DirEntry) -> Fault:
    if entry.is_symlink() and not os.path.exists(entry.path):
        return Fault("missing file", entry.path, f"a link to {os.readlink(entry.path)}, which does not exist")
    return Fault("unreadable", entry.path, "neither a file nor a folder")
