"""Fetches files of object stores (fsspec) into a local folder once. Knows no format.

A URL's files are copied to `cache_folder()`, atomically, and copied again only when they have changed.
Readers map these local files like any others.
"""

import hashlib
import json
import logging
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from unitok.atomic_files import atomic_file, write_text
from unitok.json_files import read_object

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

PROTOCOLS = (
    "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "tos", "hf", "hdfs", "webhdfs",
    "sftp", "ftp", "http", "https", "memory",
)  # fmt: skip
"""Protocols that are fetched. fsspec has more, among them some that run programs or read other files."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
CHUNK = 2**22


def is_url(path: str | Path) -> bool:
    """Whether a path is a URL, or looks like one or like a command; not if a file has that name."""
    return isinstance(path, str) and bool(SCHEME.match(path)) and not Path(path).exists()


def cache_folder() -> Path:
    """Returns $UNITOK_CACHE, or ~/.cache/unitok."""
    return Path(os.environ.get("UNITOK_CACHE") or Path.home() / ".cache" / "unitok")


def local_path(path: str | Path) -> Path:
    """Returns a path unchanged; for a URL, the local copy of its file, or of its folder and all below it.

    Processes of one machine fetch the same URL only once.

    Raises:
        FileNotFoundError: there is nothing at the URL.
        ValueError: the URL is not supported (commands never are), its protocol needs a package, or a name in
            it leads outside its folder.
        OSError: the URL cannot be reached.
    """
    if not is_url(path):
        return Path(path)
    system, root = _open(path)
    folder = cache_folder() / hashlib.sha256(path.rstrip("/").encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        return _Mirror(path, system, root, folder).fetch()


def _open(url: str) -> tuple["AbstractFileSystem", str]:
    """Returns the file system of a URL, and the path in it."""
    protocol = SCHEME.match(url)[1].lower()
    if protocol not in PROTOCOLS or "::" in url or "://" not in url:
        raise ValueError(
            f"{url:.200}: not a file, a folder or a supported URL ({', '.join(PROTOCOLS)}); commands are "
            "never run"
        )
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ValueError(f"{url:.200}: {protocol} needs an additional package: {error}") from error


class _Mirror:
    """One URL and its local copy: its files in `files/`, and the state of each in `files.json`."""

    def __init__(self, url: str, system: "AbstractFileSystem", root: str, folder: Path):
        self.url, self.system, self.root = url, system, root
        self.files, self.states_file = folder / "files", folder / "files.json"
        self.states: dict[str, str] = _read_states(self.states_file)

    def fetch(self) -> Path:
        """Copies new and changed files, removes those that are gone, and returns the path of the copy."""
        single, infos = self._list()
        for name in self.states.keys() - infos:
            (self.files / name).unlink(missing_ok=True)
        self.states = {name: state for name, state in self.states.items() if name in infos}
        for name, info in infos.items():
            state = _state(info)
            if self.states.get(name) != state or not (self.files / name).is_file():
                self._copy(name, info)
                self.states[name] = state
                write_text(self.states_file, json.dumps(self.states))
        return self.files / single if single else self.files

    def _list(self) -> tuple[str | None, dict[str, dict[str, Any]]]:
        """Returns the name of the file, if the URL is a single one, and the infos of all files by name."""
        info = self.system.info(self.root)
        if info["type"] == "file":
            name = PurePosixPath(self.root.partition("?")[0]).name
            return self._check_name(name), {name: info}
        if self.url.lower().startswith("http"):
            raise ValueError(f"{self.url}: http has no folders; give the URL of one file")
        files = self.system.find(self.root, detail=True)
        root = self.system._strip_protocol(self.root).rstrip("/") + "/"
        infos = {self._check_name(path.removeprefix(root)): info for path, info in files.items()}
        if not infos:
            raise FileNotFoundError(f"{self.url}: no files")
        return None, infos

    def _check_name(self, name: str) -> str:
        """Returns a name that stays in the folder: data must not choose where to be written."""
        parts = PurePosixPath(name.replace("\\", "/"))
        if not parts.parts or ".." in parts.parts or parts.is_absolute() or PureWindowsPath(name).drive:
            raise ValueError(f"{self.url}: a file named {name!r:.200} would be outside its folder")
        return name

    def _copy(self, name: str, info: dict[str, Any]) -> None:
        target = self.files / name
        log.info("%s: fetching %s (%s bytes) to %s", self.url, name, info.get("size"), target)
        with atomic_file(target) as temporary:
            self._write(temporary, name, info)

    def _write(self, file: Path, name: str, info: dict[str, Any]) -> None:
        with self.system.open(info["name"], "rb") as source, file.open("wb") as out:
            copyfileobj(source, out, CHUNK)
        received, size = file.stat().st_size, info.get("size")
        if size is not None and received != size:
            raise OSError(f"{self.url}: {name} has {size} bytes, received {received}; run it again")


def _read_states(file: Path) -> dict[str, str]:
    """Reads the states of the files of a copy; if they are corrupt, all files are fetched again."""
    try:
        return read_object(file)
    except (FileNotFoundError, ValueError):
        return {}


def _state(info: dict[str, Any]) -> str:
    """The state by which a changed file is detected: its size, and what its store tells about its version."""
    marks = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created", "blob_id")
    return " ".join(str(info[name]) for name in ("size", *marks) if info.get(name) is not None)
