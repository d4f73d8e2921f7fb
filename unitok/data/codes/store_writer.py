"""Writes a store; an interrupted run resumes and keeps complete shards. Knows no task and no batch."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unitok.atomic_files import list_entries, refuse_occupied, write_text
from unitok.chat_template import ChatTemplate
from unitok.data.codes.encoding import encode_documents
from unitok.data.codes.shards import (
    Shard,
    map_shard,
    read_metadata,
    to_shard,
    write_shard,
)
from unitok.data.codes.source_changes import HashedSource
from unitok.data.codes.store import FORMAT, INDEX, SHARD, fingerprints, read_index
from unitok.data.faults import REPORT, Fault, Faults, write_report
from unitok.data.source import Source, read
from unitok.document import Codes
from unitok.modalities.text import TEXT_TOKENIZER
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)


class Summary(NamedTuple):
    """The number of documents in a store, of shards kept from an earlier run, and of skipped documents."""

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
    """Encodes a source into the folder `path`.

    Existing shards are kept if their documents are unchanged, and encoded again otherwise. Documents that a
    source or a modality refuses are skipped, counted by reason in the store's data_report.json, and listed
    there and in the log.

    Args:
        path: the store's folder, made if missing.
        source: documents in canonical order.
        codec: encodes them.
        batch_size: documents encoded at once.
        shard_size: documents per shard.
        progress: show a progress bar.
        most_faults: share of corrupt documents, after the first 1,000, that stops the run.
        chat: the chat template of the source's conversations, for training on the codes.
        stamp: changes whenever the source's files do, see `compute_stamp`; if it has changed or is None, all
            documents of an existing shard are read and compared.

    Raises:
        FileExistsError: the folder holds something else.
        ValueError: a shard in it is of something else, no document could be encoded, or (TooManyFaults) too
            many could not.
    """
    faults = Faults(max_share=most_faults, name=str(path))
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
    """Raises FileExistsError for a file, or a folder that is neither empty nor a store, finished or not."""
    names = list_entries(path)
    unfinished = any(SHARD.fullmatch(name) for name in names) or set(names) <= {TEXT_TOKENIZER, REPORT}
    refuse_occupied(path, ours=unfinished or _is_store(Path(path)), what="a store of codes")


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
                "documents, batch_size and shard_size must be at least 1, got "
                f"{len(source)}, {batch_size} and {shard_size}"
            )
        self.path, self.source, self.codec = path, HashedSource(source), codec
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
        self.kept, self.changed = 0, False
        refuse_foreign(path)
        path.mkdir(parents=True, exist_ok=True)

    def shard(self, start: int) -> Iterator[int]:
        """Writes or keeps the shard that begins at document `start`; yields counts of documents done."""
        stop = min(start + self.shard_size, len(self.source))
        file = self.path / f"codes-{start // self.shard_size:05d}.safetensors"
        if file.exists():
            if self._keep(file, range(start, stop)):
                yield stop - start
                return
            self._invalidate(file)
        self.source.reset()
        documents: list[list[Codes]] = []
        dropped, listed = 0, len(self.faults.listed)
        for first in range(start, stop, self.batch_size):
            indices = range(first, min(first + self.batch_size, stop))
            encoded = encode_documents(self.source, self.codec, indices, faults=self.faults)
            documents.extend(codes for codes in encoded if codes is not None)
            dropped += sum(codes is None for codes in encoded)
            yield len(indices)
        arrays = to_shard(documents, self.names, wide=max(self.codec.vocabulary.sizes.values()) > 2**15)
        faults = json.dumps([asdict(fault) for fault in self.faults.listed[listed:]])
        state = {"dropped": str(dropped), "faults": faults, "sum": self.source.digest, "stamp": self.stamp}
        write_shard(file, arrays, self.identity | state)
        self._record(file, arrays, dropped)

    def _keep(self, file: Path, indices: range) -> bool:
        """Counts a complete shard whose documents are unchanged; returns False if they may have changed.

        Raises:
            ValueError: the shard is of another codec, or of a source of another size.
        """
        metadata = read_metadata(file)
        for name, value in self.identity.items():
            if metadata.get(name, "") != value:
                raise ValueError(
                    f"{file}: written with {name} {metadata.get(name)!s:.200}, this run has {value:.200}; "
                    "remove the folder or choose another"
                )
        shard, dropped = map_shard(file), int(metadata["dropped"])
        if not self.stamp or metadata.get("stamp") != self.stamp:
            if metadata.get("sum") != self._digest(indices):
                return False
            if self.stamp:  # so that the next run need not read the documents
                write_shard(file, shard, metadata | {"stamp": self.stamp})
        self.kept += 1
        self.faults.add_intact(len(shard.documents) - 1)
        self.faults.add(*(Fault(**fault) for fault in json.loads(metadata.get("faults", "[]"))))
        self._record(file, shard, dropped)
        return True

    def _digest(self, indices: range) -> str:
        """The hash of the documents as they are now."""
        self.source.reset()
        for index in indices:
            read(self.source, index)
        return self.source.digest

    def _invalidate(self, file: Path) -> None:
        """Removes the index before a shard is overwritten, so that the store is unfinished until the end."""
        if not self.changed:
            log.warning("%s: its documents have changed, such shards are encoded again", file)
        self.changed = True
        (self.path / INDEX).unlink(missing_ok=True)

    def _record(self, file: Path, shard: Shard, dropped: int) -> None:
        counts = {"documents": len(shard.documents) - 1, "codes": len(shard.codes), "dropped": dropped}
        self.records.append({"file": file.name, "bytes": file.stat().st_size, **counts})

    def finish(self) -> Summary:
        """Writes the index, which makes the store complete."""
        total = {
            key: sum(record[key] for record in self.records) for key in ("documents", "codes", "dropped")
        }
        if not total["documents"]:
            raise ValueError(f"none of {len(self.source)} documents could be encoded; see the log")
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
