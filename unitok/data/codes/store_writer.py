"""Writes a store; an interrupted run resumes and keeps complete shards. Knows no task and no batch."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unitok.atomic_files import held_by, refuse_occupied, write_text
from unitok.chat_template import ChatTemplate
from unitok.data.codes.encoding import encode_each
from unitok.data.codes.shards import (
    Shard,
    map_shard,
    metadata_of,
    to_shard,
    write_shard,
)
from unitok.data.codes.source_changes import Summed
from unitok.data.codes.store import FORMAT, INDEX, SHARD, TEXT_TOKENIZER, fingerprints, read_index
from unitok.data.faults import REPORT, Fault, Faults, write_report
from unitok.data.source import Source, read
from unitok.document import Codes
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)


class Summary(NamedTuple):
    """Documents in a store, shards of it that were kept from before, documents dropped for a fault."""

    documents: int
    kept: int
    dropped: int


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
    stamp: str | None = None,
) -> Summary:
    """Encode a source into the folder `path`.

    Shards that are there are kept if their documents are what they were, and else encoded again. What a
    source or a modality refuses is dropped, counted by reason in the store's data_report.json, and named
    there and in the log.

    Args:
        path: the store's folder, made if missing.
        source: documents in canonical order.
        codec: encodes them.
        batch_size: documents encoded at once.
        shard_size: documents a shard.
        progress: show a bar.
        most_faults: share of faulty documents, after the first 1,000, that stops the run.
        chat: how the source's conversations were told, for those who train on the codes.
        stamp: what changes whenever the source's files do, see `stamp_of`; with another one, or None, all
            documents of a shard that is there are read and compared.

    Raises:
        FileExistsError: the folder holds something else.
        ValueError: a shard in it is of something else, no document could be encoded, or (TooManyFaults) too
            many could not.
    """
    faults = Faults(most=most_faults, name=str(path))
    writer = _Writer(Path(path), source, codec, batch_size, shard_size, faults, chat, stamp)
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


def refuse_foreign(path: str | Path) -> None:
    """Raises FileExistsError where there is a file, or a folder of something else than a store, also of one
    that is unfinished."""
    names = held_by(path)
    begun = any(SHARD.fullmatch(name) for name in names) or set(names) <= {TEXT_TOKENIZER, REPORT}
    refuse_occupied(path, ours=begun or _is_store(Path(path)), what="a store of codes")


def _is_store(path: Path) -> bool:
    try:
        return bool(read_index(path))
    except (OSError, ValueError):
        return False


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
        stamp: str | None,
    ):
        if batch_size < 1 or shard_size < 1 or not len(source):
            raise ValueError(
                f"{len(source)} documents in batches of {batch_size}, shards of {shard_size}: no store"
            )
        self.path, self.source, self.codec = path, Summed(source), codec
        self.batch_size, self.shard_size, self.faults = batch_size, shard_size, faults
        self.names, self.chat = list(codec.modalities), chat
        self.identity = {
            "format": str(FORMAT),
            "tokenizers": json.dumps(fingerprints(codec)),
            "documents": str(len(source)),
            "shard_size": str(shard_size),
            "chat": "" if chat == ChatTemplate() else json.dumps(asdict(chat)),
        }
        self.stamp = stamp or ""
        self.records: list[dict[str, Any]] = []
        self.kept, self.renewed = 0, False
        refuse_foreign(path)
        path.mkdir(parents=True, exist_ok=True)

    def shard(self, start: int) -> Iterator[int]:
        """Write or keep the shard that begins at document `start`; yields counts of documents done."""
        stop = min(start + self.shard_size, len(self.source))
        file = self.path / f"codes-{start // self.shard_size:05d}.safetensors"
        if file.exists():
            if self._is_kept(file, range(start, stop)):
                yield stop - start
                return
            self._renew(file)
        self.source.begin()
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
        told = {"dropped": str(dropped), "faults": met, "sum": self.source.sum, "stamp": self.stamp}
        write_shard(file, arrays, self.identity | told)
        self._record(file, arrays, dropped)

    def _is_kept(self, file: Path, indices: range) -> bool:
        """Count a complete shard whose documents are what they were; False where they are not, or not known.

        Raises:
            ValueError: it is of another codec, or of a source of another size.
        """
        found = metadata_of(file)
        for name, value in self.identity.items():
            if found.get(name, "") != value:
                raise ValueError(
                    f"{file} was written with {name} {found.get(name)!s:.200}, this run has {value:.200}: "
                    "remove the folder or choose another"
                )
        shard, dropped = map_shard(file), int(found["dropped"])
        if not self.stamp or found.get("stamp") != self.stamp:
            if found.get("sum") != self._sum_of(indices):
                return False
            if self.stamp:  # the next run need not read the documents
                write_shard(file, shard, found | {"stamp": self.stamp})
        self.kept += 1
        self.faults.seen(len(shard.documents) - 1)
        self.faults.add(*(Fault(**fault) for fault in json.loads(found.get("faults", "[]"))))
        self._record(file, shard, dropped)
        return True

    def _sum_of(self, indices: range) -> str:
        """The sum of documents as they are now."""
        self.source.begin()
        for index in indices:
            read(self.source, index)
        return self.source.sum

    def _renew(self, file: Path) -> None:
        """Make ready for a shard to be written over: until all are, the store is unfinished."""
        if not self.renewed:
            log.warning("%s: its documents have changed, such files are encoded again", file)
        self.renewed = True
        (self.path / INDEX).unlink(missing_ok=True)

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
            "modalities": fingerprints(self.codec),
            "chat": asdict(self.chat),
            **total,
            "shards": self.records,
        }
        write_text(self.path / INDEX, json.dumps(index, indent=2) + "\n", durable=True)
        return Summary(total["documents"], self.kept, total["dropped"])
