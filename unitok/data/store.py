"""Codes on disk: documents encoded once, read back at random. Knows no task, no batch and no ids.

A store is a folder of shards and an index.json, which is written last.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unitok.chat_template import ChatTemplate
from unitok.codec import Codec
from unitok.data.encoding import Coded, encode_each
from unitok.data.faults import Fault, Faults, write_report
from unitok.data.remote import local
from unitok.data.shards import (
    Shard,
    documents_of,
    map_shard,
    metadata_of,
    replace_file,
    to_shard,
    write_shard,
)
from unitok.data.sources import Source
from unitok.document import Codes

INDEX, TEXT_TOKENIZER = "index.json", "tokenizer.json"
SHARD = re.compile(r"codes-\d+\.safetensors")
FORMAT = 1
ALIKE = 0.9
"""Share of equal codes from which two encodings of one document count as equal: rounding may change a few."""


class Summary(NamedTuple):
    """Documents in a store, shards of it that were kept from before, documents dropped for a fault."""

    documents: int
    kept: int
    dropped: int


# ---- writing


def write_store(
    path: str | Path,
    source: Source,
    codec: Codec,
    *,
    batch_size: int = 64,
    shard_size: int = 16_384,
    progress: bool = True,
    most_faults: float = 0.1,
    chat: ChatTemplate = ChatTemplate(),  # noqa: B008 (it is frozen)
) -> Summary:
    """Encode a source into the folder `path`.

    Shards that a stopped run has left complete are kept. A document that its source or a modality refuses is
    dropped, counted by reason in the store's data_report.json, and named there and in the log.

    Args:
        path: the store's folder, made if missing.
        source: documents in canonical order.
        codec: encodes them.
        batch_size: documents encoded at once.
        shard_size: documents a shard.
        progress: show a bar.
        most_faults: share of faulty documents, after the first 1,000, that stops the run.
        chat: how the source's conversations were told, for those who train on the codes.

    Raises:
        ValueError: the folder holds something else, no document could be encoded, or (TooManyFaults) too
            many could not.
    """
    faults = Faults(most=most_faults, name=str(path))
    writer = _Writer(Path(path), source, codec, batch_size, shard_size, faults, chat)
    starts = range(0, len(source), shard_size)
    try:
        faults.add(*source.faults)
        with _bar(enabled=progress) as bar:
            task = bar.add_task(f"encoding to {path}", total=len(source))
            for start in starts:
                for done in writer.shard(start):
                    bar.advance(task, done)
    finally:
        write_report(path, faults.report())
    return writer.finish()


def _bar(*, enabled: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=not enabled)


class _Writer:
    """Writes the shards of one store."""

    def __init__(
        self,
        path: Path,
        source: Source,
        codec: Codec,
        batch_size: int,
        shard_size: int,
        faults: Faults,
        chat: ChatTemplate,
    ):
        if batch_size < 1 or shard_size < 1 or not len(source):
            raise ValueError(
                f"{len(source)} documents in batches of {batch_size}, shards of {shard_size}: no store"
            )
        self.path, self.source, self.codec = path, source, codec
        self.batch_size, self.shard_size, self.faults = batch_size, shard_size, faults
        self.names, self.chat = list(codec.modalities), chat
        self.identity = {
            "format": str(FORMAT),
            "tokenizers": json.dumps(_fingerprints(codec)),
            "documents": str(len(source)),
            "shard_size": str(shard_size),
            "chat": "" if chat == ChatTemplate() else json.dumps(asdict(chat)),
        }
        self.records: list[dict[str, Any]] = []
        self.kept = 0
        path.mkdir(parents=True, exist_ok=True)

    def shard(self, start: int) -> Iterator[int]:
        """Write or keep the shard that begins at document `start`; yields counts of documents done."""
        stop = min(start + self.shard_size, len(self.source))
        file = self.path / f"codes-{start // self.shard_size:05d}.safetensors"
        if file.exists():
            self._keep(file, start)
            yield stop - start
            return
        documents: list[list[Codes]] = []
        dropped, listed = 0, len(self.faults.listed)
        for first in range(start, stop, self.batch_size):
            indices = range(first, min(first + self.batch_size, stop))
            encoded = encode_each(self.source, self.codec, indices, faults=self.faults)
            documents.extend(codes for codes in encoded if codes is not None)
            dropped += sum(codes is None for codes in encoded)
            yield len(indices)
        arrays = to_shard(documents, self.names, wide=max(self.codec.vocabulary.sizes.values()) > 2**15)
        met = json.dumps([asdict(fault) for fault in self.faults.listed[listed:]])
        write_shard(file, arrays, {**self.identity, "dropped": str(dropped), "faults": met})
        self._record(file, arrays, dropped)

    def _keep(self, file: Path, start: int) -> None:
        """Count a complete shard. Raises ValueError where it is of another codec or source."""
        found = metadata_of(file)
        for name, value in self.identity.items():
            if found.get(name, "") != value:
                raise ValueError(
                    f"{file} was written with {name} {found.get(name)!s:.200}, this run has {value:.200}: "
                    "remove the folder or choose another"
                )
        shard, dropped = map_shard(file), int(found["dropped"])
        first = encode_each(self.source, self.codec, [start])[0]
        if dropped == 0 and not _alike(documents_of([(shard, 0)], self.names)[0], first):
            raise ValueError(
                f"{file} holds other documents: number {start} of this source gets other codes. "
                "Remove the folder or choose another"
            )
        self.kept += 1
        self.faults.seen(len(shard.documents) - 1)
        self.faults.add(*(Fault(**fault) for fault in json.loads(found.get("faults", "[]"))))
        self._record(file, shard, dropped)

    def _record(self, file: Path, shard: Shard, dropped: int) -> None:
        counts = {"documents": len(shard.documents) - 1, "codes": len(shard.codes), "dropped": dropped}
        self.records.append({"file": file.name, "bytes": file.stat().st_size, **counts})

    def finish(self) -> Summary:
        """Write the index, which makes the store complete."""
        total = {
            key: sum(record[key] for record in self.records) for key in ("documents", "codes", "dropped")
        }
        if not total["documents"]:
            raise ValueError(f"none of {len(self.source)} documents could be encoded; the log says why")
        index = {
            "format": FORMAT,
            "fingerprint": self.codec.fingerprint(),
            "modalities": _fingerprints(self.codec),
            "chat": asdict(self.chat),
            **total,
            "shards": self.records,
        }
        replace_file(self.path / INDEX, lambda beside: beside.write_text(json.dumps(index, indent=2) + "\n"))
        return Summary(total["documents"], self.kept, total["dropped"])


def _alike(a: Sequence[Codes], b: Sequence[Codes] | None) -> bool:
    if b is None or [(x.modality, tuple(x.shape)) for x in a] != [(x.modality, tuple(x.shape)) for x in b]:
        return False
    return all(
        (x.codes == y.codes).double().mean() >= ALIKE for x, y in zip(a, b, strict=True) if len(x.codes)
    )


def _fingerprints(codec: Codec) -> dict[str, str]:
    return {name: modality.fingerprint() for name, modality in codec.modalities.items()}


# ---- reading


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
        self.fingerprint: str = index["fingerprint"]
        self.names = list(index["modalities"])
        _check_codec(self.path, index["modalities"], codec)
        self._outer = [codec.segment_length(name, 0) for name in self.names]
        self._files = [self.path / _shard_name(self.path, record["file"]) for record in index["shards"]]
        for file, record in zip(self._files, index["shards"], strict=True):
            _check_size(file, record["bytes"])
        self._starts = [0, *accumulate(record["documents"] for record in index["shards"])]
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
            self._shards[number] = map_shard(self._files[number])
        return self._shards[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}}


def read_index(path: Path) -> dict[str, Any]:
    """What a store's index.json says. Raises FileNotFoundError or ValueError where there is no whole one."""
    if not (path / INDEX).is_file():
        if list(path.glob("codes-*.safetensors")):
            raise ValueError(f"{path}: this store is unfinished; run the same encoding again to complete it")
        raise FileNotFoundError(f"{path}: no store of codes here ({INDEX} is missing)")
    try:
        index = json.loads((path / INDEX).read_text())
        if index["format"] != FORMAT or not isinstance(index["modalities"], dict):
            raise ValueError(f"its format is {index['format']}, this program reads {FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path / INDEX}: not the index of a store of codes ({error})") from error
    return index


def chat_of(path: str | Path) -> ChatTemplate:
    """How the conversations of a store were told. Raises as `read_index`, and ValueError for no template."""
    try:
        return ChatTemplate(**read_index(local(path)).get("chat", {}))
    except TypeError as error:
        raise ValueError(f"{path}: chat: {error}") from error


def _shard_name(path: Path, name: Any) -> str:
    """A shard's name as the index has it: of a file in the store's own folder."""
    if not isinstance(name, str) or not SHARD.fullmatch(name):
        raise ValueError(f"{path / INDEX}: it names a shard {name!r:.80}, expected {SHARD.pattern}")
    return name


def _check_codec(path: Path, stored: dict[str, str], codec: Codec) -> None:
    present = _fingerprints(codec)
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
