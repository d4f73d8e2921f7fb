"""Fetches files of object stores (fsspec) into a local folder once. Knows no format.

A URL's files are copied to `cache_folder()`, each complete or absent, and copied again only when they have
changed there. What reads them maps local files, as it does with others.
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

from unitok.atomic_files import file_beside, write_text
from unitok.json_files import read_object

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

PROTOCOLS = (
    "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "tos", "hf", "hdfs", "webhdfs",
    "sftp", "ftp", "http", "https", "memory",
)  # fmt: skip
"""What is fetched. fsspec knows more, among them some that run programs or that read other files."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
AT_ONCE = 2**22


def is_url(path: str | Path) -> bool:
    """Whether a path is a URL, or looks like one or like a command; not where a file is called so."""
    return isinstance(path, str) and bool(SCHEME.match(path)) and not Path(path).exists()


def cache_folder() -> Path:
    """$UNITOK_CACHE, or ~/.cache/unitok."""
    return Path(os.environ.get("UNITOK_CACHE") or Path.home() / ".cache" / "unitok")


def local(path: str | Path) -> Path:
    """A path as it is; of a URL the local copy of its file, or of its folder and all below it.

    Processes of one machine that ask for the same URL fetch it once.

    Raises:
        FileNotFoundError: there is nothing at the URL.
        ValueError: it is none that is read (commands never are), its protocol needs a package, or a name in
            it leads elsewhere.
        OSError: it cannot be reached.
    """
    if not is_url(path):
        return Path(path)
    system, root = _opened(path)
    kept = cache_folder() / hashlib.sha256(path.rstrip("/").encode()).hexdigest()[:24]
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / "lock"):
        return _Mirror(path, system, root, kept).fetch()


def _opened(url: str) -> tuple["AbstractFileSystem", str]:
    """The file system of a URL, and the path in it."""
    protocol = SCHEME.match(url)[1].lower()
    if protocol not in PROTOCOLS or "::" in url or "://" not in url:
        raise ValueError(
            f"{url:.200}: not a file, a folder or a URL that is read ({', '.join(PROTOCOLS)}); commands are "
            "never run"
        )
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ValueError(f"{url:.200}: {protocol} needs another package: {error}") from error


class _Mirror:
    """One URL and its copy: `files/` as they lie there, and `files.json`, which tells the state of each."""

    def __init__(self, url: str, system: "AbstractFileSystem", root: str, kept: Path):
        self.url, self.system, self.root = url, system, root
        self.files, self.noted = kept / "files", kept / "files.json"
        self.known: dict[str, str] = _known(self.noted)

    def fetch(self) -> Path:
        """Copy what is missing or has changed, drop what is gone; the path of the copy."""
        single, found = self._listed()
        for name in self.known.keys() - found:
            (self.files / name).unlink(missing_ok=True)
        self.known = {name: state for name, state in self.known.items() if name in found}
        for name, info in found.items():
            state = _state(info)
            if self.known.get(name) != state or not (self.files / name).is_file():
                self._copy(name, info)
                self.known[name] = state
                write_text(self.noted, json.dumps(self.known))
        return self.files / single if single else self.files

    def _listed(self) -> tuple[str | None, dict[str, dict[str, Any]]]:
        """The name of a single file, if the URL is one, and all files by their names below it."""
        info = self.system.info(self.root)
        if info["type"] == "file":
            name = PurePosixPath(self.root.partition("?")[0]).name
            return self._checked(name), {name: info}
        if self.url.lower().startswith("http"):
            raise ValueError(f"{self.url}: http has no folders; give the URL of one file")
        found = self.system.find(self.root, detail=True)
        root = self.system._strip_protocol(self.root).rstrip("/") + "/"
        names = {self._checked(path.removeprefix(root)): info for path, info in found.items()}
        if not names:
            raise FileNotFoundError(f"{self.url}: no file there")
        return None, names

    def _checked(self, name: str) -> str:
        """A name that stays in the folder; data choose no other place to be written to."""
        parts = PurePosixPath(name.replace("\\", "/"))
        if not parts.parts or ".." in parts.parts or parts.is_absolute() or PureWindowsPath(name).drive:
            raise ValueError(f"{self.url}: a file called {name!r:.200} would lie outside its folder")
        return name

    def _copy(self, name: str, info: dict[str, Any]) -> None:
        target = self.files / name
        log.info("%s: fetching %s (%s bytes) to %s", self.url, name, info.get("size"), target)
        with file_beside(target) as beside:
            self._write(beside, name, info)

    def _write(self, file: Path, name: str, info: dict[str, Any]) -> None:
        with self.system.open(info["name"], "rb") as source, file.open("wb") as out:
            copyfileobj(source, out, AT_ONCE)
        came, size = file.stat().st_size, info.get("size")
        if size is not None and came != size:
            raise OSError(f"{self.url}: {name} has {size} bytes, {came} came; run it again")


def _known(noted: Path) -> dict[str, str]:
    """What was noted of the files of a copy; where that is damaged nothing is known, and all is fetched."""
    try:
        return read_object(noted)
    except (FileNotFoundError, ValueError):
        return {}


def _state(info: dict[str, Any]) -> str:
    """What tells one content of a file from the next: its size, and what its store says beside."""
    marks = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created", "blob_id")
    return " ".join(str(info[name]) for name in ("size", *marks) if info.get(name) is not None)
