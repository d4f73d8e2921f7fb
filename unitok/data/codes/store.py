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
from unitok.data.codes.encoding import Coded
from unitok.data.codes.shards import (
    Shard,
    documents_of,
    map_shard,
)
from unitok.data.files.remote import local
from unitok.document import Codes
from unitok.json_files import made_of, read_object
from unitok.tokens.codec import Codec

INDEX, TEXT_TOKENIZER = "index.json", "tokenizer.json"
SHARD = re.compile(r"codes-\d+\.safetensors")
FORMAT = 1


@dataclass(frozen=True)
class ShardRecord:
    """What an index says of a shard."""

    file: str
    bytes: int
    documents: int

    def __post_init__(self):
        if self.documents < 0:
            raise ValueError(f"{self.file} has {self.documents} documents")


@dataclass(frozen=True)
class Index:
    """What a store's index.json says of its codec, of its shards and of how conversations were told."""

    fingerprint: str
    modalities: dict[str, str]
    shards: tuple[ShardRecord, ...]
    chat: ChatTemplate = ChatTemplate()  # noqa: RUF009 (it is frozen)


class Store(Coded):
    """A folder that `write_store` wrote, as documents of codes in canonical order.

    Shards are memory-mapped when first touched, and again in each process that the store is sent to.

    Args:
        path: the folder, also as a URL (see `remote`).
        codec: whose codes they must be. It may have more modalities than the store, or other positions.

    Raises:
        FileNotFoundError: there is no store, or a shard of it is missing.
        ValueError: it is unfinished, damaged, or of another tokenizer; or a URL that is not read.
    """

    def __init__(self, path: str | Path, codec: Codec):
        self.path = local(path)
        index = read_index(self.path)
        self.fingerprint = index.fingerprint
        self.names = list(index.modalities)
        _check_codec(self.path, index.modalities, codec)
        self._outer = [codec.segment_length(name, 0) for name in self.names]
        self._files = [self.path / _shard_name(self.path, record.file) for record in index.shards]
        for file, record in zip(self._files, index.shards, strict=True):
            _check_size(file, record.bytes)
        self._starts = [0, *accumulate(record.documents for record in index.shards)]
        self._shards: dict[int, Shard] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> list[Codes]:
        return self.fetch([index])[0]

    def fetch(self, indices: Sequence[int]) -> list[list[Codes]]:
        """Codes of several documents."""
        return documents_of(map(self._place, indices), self.names)

    def _place(self, index: int) -> tuple[Shard, int]:
        """The shard that has a document, and which of that shard's it is."""
        if not 0 <= index < len(self):
            raise IndexError(f"document {index} of a store of {len(self)}")
        number = bisect_right(self._starts, index) - 1
        return self._shard(number), index - self._starts[number]

    def length(self, index: int) -> int:
        """Number of ids of a document."""
        return int(self.lengths[index])

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " documents"]:
        """Number of ids of each document; no codes are read."""
        return np.concatenate([self._shard_lengths(self._shard(i)) for i in range(len(self._files))])

    def _shard_lengths(self, shard: Shard) -> np.ndarray:
        outer = np.array(self._outer, np.int64)
        segments = np.diff(shard.offsets) + outer[shard.segments[:, 0]]
        return 2 + np.diff(np.concatenate(([0], np.cumsum(segments)))[shard.documents])

    def _shard(self, number: int) -> Shard:
        if number not in self._shards:
            self._shards[number] = self._opened(number)
        return self._shards[number]

    def _opened(self, number: int) -> Shard:
        """A shard that holds what the index says. Raises ValueError where it does not."""
        file, wanted = self._files[number], self._starts[number + 1] - self._starts[number]
        shard = map_shard(file)
        held, modalities = len(shard.documents) - 1, shard.segments[:, 0]
        if held != wanted:
            raise ValueError(f"{file}: {held} documents, the index says {wanted}; remove it and encode again")
        if len(modalities) and not 0 <= modalities.min() <= modalities.max() < len(self.names):
            raise ValueError(f"{file}: a segment is of none of {', '.join(self.names)}; remove it")
        return shard

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}}


def read_index(path: Path) -> Index:
    """What a store's index.json says. Raises FileNotFoundError or ValueError where there is no whole one."""
    try:
        values = read_object(path / INDEX)
    except (FileNotFoundError, NotADirectoryError) as error:
        if list(path.glob("codes-*.safetensors")):
            raise ValueError(
                f"{path}: this store is unfinished; run the same encoding again to complete it"
            ) from error
        raise FileNotFoundError(f"{path}: no store of codes here ({INDEX} is missing)") from error
    try:
        return _index_of(values)
    except ValueError as error:
        raise ValueError(f"{path / INDEX}: not the index of a store of codes ({error})") from error


def _index_of(values: dict[str, Any]) -> Index:
    if values.get("format") != FORMAT:
        raise ValueError(f"its format is {values.get('format')!r:.80}, this program reads {FORMAT}")
    known = {field.name: values[field.name] for field in fields(Index) if field.name in values}
    known["chat"] = made_of(ChatTemplate, known.get("chat", {}))
    if isinstance(known.get("shards"), list):
        known["shards"] = [_record_of(record) for record in known["shards"]]
    return made_of(Index, known)


def _record_of(values: Any) -> ShardRecord:
    """What an index says of a shard; what else it says of it is not needed."""
    names = [field.name for field in fields(ShardRecord)]
    return made_of(ShardRecord, {n: values[n] for n in names if n in values} if values else values)


def chat_of(path: str | Path) -> ChatTemplate:
    """How the conversations of a store were told. Raises as `read_index`."""
    return read_index(local(path)).chat


def _shard_name(path: Path, name: Any) -> str:
    """A shard's name as the index has it: of a file in the store's own folder."""
    if not isinstance(name, str) or not SHARD.fullmatch(name):
        raise ValueError(f"{path / INDEX}: it names a shard {name!r:.80}, expected {SHARD.pattern}")
    return name


def _check_codec(path: Path, stored: dict[str, str], codec: Codec) -> None:
    present = fingerprints(codec)
    for name, fingerprint in stored.items():
        if present.get(name) != fingerprint:
            raise ValueError(
                f"{path} was written with another {name} tokenizer: its fingerprint is {fingerprint:.80}, "
                f"this model's is {present.get(name, 'missing'):.80}. Encode again with this model's "
                "tokenizers, or take those of the store"
            )


def _check_size(file: Path, size: int) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: this shard of the store is missing")
    if file.stat().st_size != size:
        raise ValueError(
            f"{file}: {file.stat().st_size} bytes, the index says {size}; remove it and encode again"
        )


def fingerprints(codec: Codec) -> dict[str, str]:
    """What each modality's codes mean, in letters."""
    return {name: modality.fingerprint() for name, modality in codec.modalities.items()}
