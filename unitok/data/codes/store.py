"""Stores of pre-tokenised data: documents of codes on disk, read at random. Knows no task, no batch and no
ids.

A store is a folder of shards and an index.json, which is written last.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from unitok.chat_template import ChatTemplate
from unitok.data.codes.encoding import CodedDocuments
from unitok.data.codes.shards import (
    Shard,
    map_shard,
    read_documents,
)
from unitok.data.files.remote import local_path
from unitok.document import Codes
from unitok.json_files import build_dataclass, read_object
from unitok.tokens.codec import Codec

INDEX = "index.json"
SHARD = re.compile(r"codes-\d+\.safetensors")
FORMAT = 1


@dataclass(frozen=True)
class ShardRecord:
    """The entry of a shard in an index."""

    file: str
    bytes: int
    documents: int

    def __post_init__(self):
        if self.documents < 0:
            raise ValueError(f"{self.file}: documents must be 0 or more, got {self.documents}")


@dataclass(frozen=True)
class Index:
    """A store's index.json: the fingerprints of its codec, its shards, and the chat template."""

    fingerprint: str
    modalities: dict[str, str]
    shards: tuple[ShardRecord, ...]
    chat: ChatTemplate = ChatTemplate()  # noqa: RUF009 (it is frozen)


class Store(CodedDocuments):
    """A folder written by `write_store`, as documents of codes in canonical order.

    Shards are memory-mapped on first use, and again in each process to which the store is sent.

    Args:
        path: the folder, also as a URL (see `remote`).
        codec: the codec of the codes. It may have more modalities than the store, or other positions.

    Raises:
        FileNotFoundError: there is no store, or a shard is missing.
        ValueError: the store is unfinished, corrupt, or of another tokenizer, or its URL is not supported.
    """

    def __init__(self, path: str | Path, codec: Codec):
        self.path = local_path(path)
        index = read_index(self.path)
        self.fingerprint = index.fingerprint
        self.names = list(index.modalities)
        _check_codec(self.path, index.modalities, codec)
        self._outer = [codec.segment_length(name, 0) for name in self.names]
        self._files = [self.path / _check_shard_name(self.path, record.file) for record in index.shards]
        for file, record in zip(self._files, index.shards, strict=True):
            _check_size(file, record.bytes)
        self._starts = [0, *accumulate(record.documents for record in index.shards)]
        self._shards: dict[int, Shard] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> list[Codes]:
        return self.fetch([index])[0]

    def fetch(self, indices: Sequence[int]) -> list[list[Codes]]:
        """Returns the codes of several documents."""
        return read_documents(map(self._locate, indices), self.names)

    def _locate(self, index: int) -> tuple[Shard, int]:
        """Returns the shard that holds a document, and the document's index there."""
        if not 0 <= index < len(self):
            raise IndexError(f"document {index} of a store of {len(self)}")
        number = bisect_right(self._starts, index) - 1
        return self._shard(number), index - self._starts[number]

    def length(self, index: int) -> int:
        """The number of ids of a document."""
        return int(self.lengths[index])

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " documents"]:
        """The number of ids of each document; no codes are read."""
        return np.concatenate([self._shard_lengths(self._shard(i)) for i in range(len(self._files))])

    def _shard_lengths(self, shard: Shard) -> np.ndarray:
        outer = np.array(self._outer, np.int64)
        segments = np.diff(shard.offsets) + outer[shard.segments[:, 0]]
        return 2 + np.diff(np.concatenate(([0], np.cumsum(segments)))[shard.documents])

    def _shard(self, number: int) -> Shard:
        if number not in self._shards:
            self._shards[number] = self._open(number)
        return self._shards[number]

    def _open(self, number: int) -> Shard:
        """Maps a shard. Raises ValueError if it does not match the index."""
        file, expected = self._files[number], self._starts[number + 1] - self._starts[number]
        shard = map_shard(file)
        count, modalities = len(shard.documents) - 1, shard.segments[:, 0]
        if count != expected:
            raise ValueError(
                f"{file}: {count} documents, {expected} in the index; remove it and encode again"
            )
        if len(modalities) and not 0 <= modalities.min() <= modalities.max() < len(self.names):
            raise ValueError(f"{file}: segments must be of {', '.join(self.names)}; remove the file")
        return shard

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}}


def read_index(path: Path) -> Index:
    """Reads a store's index.json. Raises FileNotFoundError or ValueError if it is missing or corrupt."""
    try:
        values = read_object(path / INDEX)
    except (FileNotFoundError, NotADirectoryError) as error:
        if list(path.glob("codes-*.safetensors")):
            raise ValueError(
                f"{path}: this store is unfinished; run the same encoding again to complete it"
            ) from error
        raise FileNotFoundError(f"{path}: not a store of codes ({INDEX} is missing)") from error
    try:
        return _parse_index(values)
    except ValueError as error:
        raise ValueError(f"{path / INDEX}: not the index of a store of codes ({error})") from error


def _parse_index(values: dict[str, Any]) -> Index:
    if values.get("format") != FORMAT:
        raise ValueError(f"format must be {FORMAT}, got {values.get('format')!r:.80}")
    known = {field.name: values[field.name] for field in fields(Index) if field.name in values}
    known["chat"] = build_dataclass(ChatTemplate, known.get("chat", {}))
    if isinstance(known.get("shards"), list):
        known["shards"] = [_parse_record(record) for record in known["shards"]]
    return build_dataclass(Index, known)


def _parse_record(values: Any) -> ShardRecord:
    """Parses the entry of a shard; its further fields are ignored."""
    names = [field.name for field in fields(ShardRecord)]
    return build_dataclass(ShardRecord, {n: values[n] for n in names if n in values} if values else values)


def read_chat(path: str | Path) -> ChatTemplate:
    """Reads the chat template of a store. Raises as `read_index`."""
    return read_index(local_path(path)).chat


def _check_shard_name(path: Path, name: Any) -> str:
    """Returns a shard's name in the index, which must be that of a file in the store's own folder."""
    if not isinstance(name, str) or not SHARD.fullmatch(name):
        raise ValueError(f"{path / INDEX}: a shard's name must match {SHARD.pattern}, got {name!r:.80}")
    return name


def _check_codec(path: Path, stored: dict[str, str], codec: Codec) -> None:
    present = fingerprints(codec)
    for name, fingerprint in stored.items():
        if present.get(name) != fingerprint:
            raise ValueError(
                f"{path}: written with another {name} tokenizer: its fingerprint is {fingerprint:.80}, this "
                f"model's is {present.get(name, 'missing'):.80}. Encode again with this model's tokenizers, "
                "or use those of the store"
            )


def _check_size(file: Path, size: int) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: shard not found")
    if file.stat().st_size != size:
        raise ValueError(
            f"{file}: {file.stat().st_size} bytes, {size} in the index; remove it and encode again"
        )


def fingerprints(codec: Codec) -> dict[str, str]:
    """The fingerprint of each modality's codes."""
    return {name: modality.fingerprint() for name, modality in codec.modalities.items()}
