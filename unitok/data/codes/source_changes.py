"""Tells whether a source has changed since it was encoded. Knows no format and no codes."""

import hashlib
import json
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from unitok.data.faults import SampleError
from unitok.data.files.remote import is_url, local_path
from unitok.data.source import Source
from unitok.document import Codes, Document, TurnText
from unitok.modalities.geometry import Box, Point

SELF_CONTAINED = (".tar", ".tgz", ".gz", ".parquet", ".arrow", ".txt")
"""Suffixes of files that hold their documents themselves; other files may name further files."""


class HashedSource(Source):
    """A source that hashes the documents read from it, and faults, in their order."""

    def __init__(self, source: Source):
        self.source, self.faults = source, source.faults
        self.reset()

    def reset(self) -> None:
        """Starts a new hash."""
        self._hash = hashlib.blake2b(digest_size=16)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        try:
            document = self.source[index]
        except SampleError as error:
            self._update(b"fault", repr((error.fault.reason, error.fault.detail)).encode())
            raise
        except (ValueError, OSError) as error:
            self._update(b"fault", str(error).encode("utf-8", "surrogatepass"))
            raise
        self._update(b"document", str(len(document)).encode())
        for segment in document:
            content = segment if isinstance(segment, Codes) else segment.content
            self._update(repr((segment.modality, segment.learn)).encode(), *_to_bytes(content))
        return document

    def _update(self, *parts: bytes) -> None:
        for part in parts:
            self._hash.update(len(part).to_bytes(8, "little") + part)

    @property
    def digest(self) -> str:
        """The hash of everything read since the last reset, in hex."""
        return self._hash.hexdigest()


def _to_bytes(content: Any) -> Iterator[bytes]:
    """Yields bytes that identify a content."""
    if isinstance(content, Image.Image):
        yield repr((content.mode, content.size)).encode()
        yield content.tobytes()
    elif isinstance(content, Codes):
        yield from _to_bytes(content.codes)
        yield repr(tuple(content.shape)).encode()
    elif isinstance(content, Tensor):
        yield repr((tuple(content.shape), content.dtype)).encode()
        yield content.cpu().contiguous().numpy().tobytes()
    elif isinstance(content, str | Box | Point):
        marks = content.marks if isinstance(content, TurnText) else ()
        text = str(content) if isinstance(content, str) else repr(content)
        yield repr(marks).encode("utf-8", "surrogatepass")
        yield text.encode("utf-8", "surrogatepass")
    else:  # of another modality, whose repr may be shortened or name a place in memory
        yield pickle.dumps(content, protocol=4)


def compute_stamp(settings: Mapping[str, Any]) -> str | None:
    """Computes a stamp that changes with the names, sizes or times of the files of a data set.

    Args:
        settings: all settings that define the set and how it is read; strings that are paths are its files.

    Returns:
        The stamp in hex; None if not all files are known, or there are none, so that documents have to be
        compared.
    """
    names = [text for text in _strings(settings) if is_url(text) or (text and Path(text).exists())]
    paths = [local_path(name) for name in names]
    if not paths or not all(path.is_dir() or path.name.lower().endswith(SELF_CONTAINED) for path in paths):
        return None
    stamp = hashlib.blake2b(digest_size=16)
    stamp.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in paths:
        for file in _files(path):
            status = file.stat()
            stamp.update(repr((str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns)).encode())
    return stamp.hexdigest()


def _strings(values: Any) -> Iterator[str]:
    """Yields all strings in nested settings."""
    if isinstance(values, str | Path):
        yield str(values)
    elif isinstance(values, Mapping):
        yield from _strings(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _strings(value)


def _files(path: Path) -> Iterator[Path]:
    """Yields a file, or all files below a folder in a fixed order; linked folders too, each once."""
    if not path.is_dir():
        yield path
        return
    seen: set[str] = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(folders)
        if real not in seen:
            yield from (file for name in sorted(names) if (file := Path(folder, name)).is_file())
        seen.add(real)
