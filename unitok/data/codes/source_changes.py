"""Tells whether a source has changed since it was encoded. Knows no format and no codes."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from unitok.data.faults import SampleError
from unitok.data.files.remote import is_url, local
from unitok.data.source import Source
from unitok.document import Codes, Document, TurnText

ALONE = (".tar", ".tgz", ".gz", ".parquet", ".arrow", ".txt")
"""Files that hold all of their documents; others may name files anywhere beside them."""


class Summed(Source):
    """A source with a sum over the documents that were read of it, faults too, in their order."""

    def __init__(self, source: Source):
        self.source, self.faults = source, source.faults
        self.begin()

    def begin(self) -> None:
        """Start a sum anew."""
        self._sum = hashlib.blake2b(digest_size=16)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        try:
            document = self.source[index]
        except SampleError as error:
            self._take(b"fault", repr((error.fault.reason, error.fault.detail)).encode())
            raise
        except (ValueError, OSError) as error:
            self._take(b"fault", str(error).encode("utf-8", "surrogatepass"))
            raise
        self._take(b"document", str(len(document)).encode())
        for segment in document:
            content = segment if isinstance(segment, Codes) else segment.content
            self._take(repr((segment.modality, segment.learn)).encode(), *_bytes_of(content))
        return document

    def _take(self, *parts: bytes) -> None:
        for part in parts:
            self._sum.update(len(part).to_bytes(8, "little") + part)

    @property
    def sum(self) -> str:
        """Of all that was read since the sum began, in letters."""
        return self._sum.hexdigest()


def _bytes_of(content: Any) -> Iterator[bytes]:
    """What tells one content from another."""
    if isinstance(content, Image.Image):
        yield repr((content.mode, content.size)).encode()
        yield content.tobytes()
    elif isinstance(content, Codes):
        yield from _bytes_of(content.codes)
        yield repr(tuple(content.shape)).encode()
    elif isinstance(content, Tensor):
        yield repr((tuple(content.shape), content.dtype)).encode()
        yield content.cpu().contiguous().numpy().tobytes()
    else:
        marks = content.marks if isinstance(content, TurnText) else ()
        said = str(content) if isinstance(content, str) else repr(content)
        yield repr(marks).encode("utf-8", "surrogatepass")
        yield said.encode("utf-8", "surrogatepass")


def stamp_of(described: Mapping[str, Any]) -> str | None:
    """What changes whenever the files change that a set is read from: their names, sizes and times.

    Args:
        described: all that says which set it is and how it is read; texts in it that are paths are its files.

    Returns:
        letters; None where not all files are known, or there are none: then documents have to be compared.
    """
    texts = [text for text in _texts(described) if is_url(text) or (text and Path(text).exists())]
    paths = [local(text) for text in texts]
    if not paths or not all(path.is_dir() or path.name.lower().endswith(ALONE) for path in paths):
        return None
    total = hashlib.blake2b(digest_size=16)
    total.update(json.dumps(described, sort_keys=True, default=str).encode())
    for path in paths:
        for file in _files(path):
            state = file.stat()
            total.update(repr((str(file), state.st_size, state.st_mtime_ns, state.st_ctime_ns)).encode())
    return total.hexdigest()


def _texts(values: Any) -> Iterator[str]:
    """All texts in nested settings."""
    if isinstance(values, str | Path):
        yield str(values)
    elif isinstance(values, Mapping):
        yield from _texts(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _texts(value)


def _files(path: Path) -> Iterator[Path]:
    """A file, or all below a folder in a fixed order; linked folders too, each once."""
    if not path.is_dir():
        yield path
        return
    met: set[str] = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in met else sorted(folders)
        if real not in met:
            yield from (file for name in sorted(names) if (file := Path(folder, name)).is_file())
        met.add(real)
