"""WebDataset: captioned images in tar shards. Knows how their files are named; nothing is unpickled."""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unicodedata import normalize

from unitok.data.faults import Fault, SampleError, count_reasons, log_faults, summarize
from unitok.data.files.compact_lists import Sample, Samples
from unitok.data.files.gzip_shards import UnpackedFile
from unitok.data.files.images import IMAGE_SUFFIXES
from unitok.data.files.list_files import plain_files
from unitok.data.files.open_records import FirstLook
from unitok.data.files.remote import local_path
from unitok.data.files.splits import SPLITS, Split, group_by_split
from unitok.data.files.tar import Damage, Member, members, neighbours
from unitok.data.readers.segments import MAX_TEXT, image_segment, text_segment
from unitok.data.source import Reader, Source, open_split, warn_once
from unitok.document import Document, Segment

SHARDS = (".tar", ".tar.gz", ".tgz")


class WebDataset(Reader):
    """Captioned images from tar shards, indexed once and read in place.

    A sample is KEY.png (or another image format), KEY.txt and perhaps KEY.json. KEY ends at the first dot: an
    image that belongs to no sample because of another dot is a fault. Other files are ignored; nothing is
    unpickled or run. A .tar.gz is first unpacked into a temporary file. Damage to a shard is one fault,
    together with the samples that it leaves incomplete; the samples after it are read.

    Args:
        path: a folder of shards, or one shard, also as a URL (see `remote`).
        split: train, val or test, by a word of the shards' names; or a prefix of their names that is followed
            by something other than a letter. None takes all.
        where: keeps the samples whose metadata have these values, such as {"subset": "combo"}.

    Raises:
        FileNotFoundError: there is no such shard.
        ValueError: no sample is left.
    """

    format = "webdataset"
    IMAGE_SUFFIXES = IMAGE_SUFFIXES

    def __init__(self, path: str, split: str | None = "train", where: dict[str, Any] | None = None):
        self.path, self.split, self.where = path, split, dict(where or {})
        self.shards = _shards(local_path(path), split)
        if not self.shards:
            pattern = "shards" if split is None else f"shards {split}-*.tar"
            raise FileNotFoundError(f"{path}: no {pattern}")
        self.faults: list[Fault] = []
        self._ignored: Counter[str] = Counter()
        self._files = [UnpackedFile(shard) for shard in self.shards]
        self.samples = Samples(s for number in range(len(self.shards)) for s in self._index(number))
        log_faults(*self.faults)
        if self._ignored:
            suffixes = ", ".join(suffix for suffix, _ in self._ignored.most_common(8))
            total = self._ignored.total()
            warn_once(f"{path}: {total} images beside those of samples are ignored: {suffixes}")
        if not self.samples:
            raise ValueError(f"{path}/{split or ''}*.tar: no sample is left: {self._describe_skipped()}")

    @classmethod
    def fits(cls, look: FirstLook) -> bool:
        return bool(_shards(look.path, None))

    @classmethod
    def open(cls, path: Path, split: Split | None, /, **settings) -> Source:
        existing = group_by_split(_shards(path, None)) if path.is_dir() else {}
        if split is None or not existing:
            return super().open(path, split, split=None, **settings)
        return open_split(lambda name: cls(str(path), name, **settings), split, existing, path=path)

    def _describe_skipped(self) -> str:
        """Describes why samples were skipped, with an example."""
        example = max(self.faults, key=lambda fault: fault.reason == "dot in the name", default=None)
        such_as = f", such as {example}" if example else ""
        where = f"; `where` keeps those with {self.where}" if self.where else ""
        return f"skipped {summarize(self.skipped)}{such_as}{where}"

    @property
    def skipped(self) -> Counter[str]:
        """The number of samples skipped in indexing, by reason."""
        return count_reasons(self.faults)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Document:
        sample = self.samples[index]
        place = {"path": self._name(sample.shard, sample.image.name), "offset": sample.image.offset}
        caption = Segment("text", self.caption(index))
        return caption, image_segment(self._read(sample.shard, sample.image), **place)

    def caption(self, index: int) -> str:
        """Reads the caption alone, without decoding the image."""
        sample = self.samples[index]
        member = sample.caption._replace(size=min(sample.caption.size, MAX_TEXT + 1))
        place = {"path": self._name(sample.shard, member.name), "offset": member.offset}
        return text_segment(self._read(sample.shard, member), **place).content

    def metadata(self, index: int) -> dict[str, Any]:
        """Reads a sample's JSON record; empty if it has none."""
        return self._metadata(self.samples[index])

    def _metadata(self, sample: Sample) -> dict[str, Any]:
        if sample.metadata is None:
            return {}
        member = sample.metadata
        path = self._name(sample.shard, member.name)
        try:
            if member.size > MAX_TEXT:
                raise ValueError(f"{member.size} bytes")
            record = json.loads(self._read(sample.shard, member))
        except (ValueError, RecursionError) as error:
            detail = f"not JSON: {error}"
            raise SampleError("damaged metadata", path, detail, offset=member.offset) from error
        if not isinstance(record, dict):
            detail = f"must be a JSON object, got {record!r:.80}"
            raise SampleError("damaged metadata", path, detail, offset=member.offset)
        return record

    # -- indexing

    def _index(self, shard: int) -> list[Sample]:
        """Indexes the samples of one shard that are complete and match `where`."""
        file = self._files[shard]
        entries = list(members(file.content))
        if not file.content and file.damage is None:
            self.faults.append(Fault("empty file", str(self.shards[shard])))
        if file.damage is not None:
            entries = _mark_damaged_end(entries, file.damage)
        excused: set[str] = set()  # incomplete because of damage, which is already a fault
        for index, damage in enumerate(entries):
            if isinstance(damage, Damage):
                keys = [_split_key(member.name)[0] for member in neighbours(entries, index)]
                excused.update(keys)
                self._add_damage(damage, self.shards[shard], keys)
        samples = []
        for key, files in self._by_key(shard, [m for m in entries if isinstance(m, Member)]).items():
            sample = self._sample(shard, key, files, excused=key in excused)
            if sample is not None and self._matches(sample):
                samples.append(sample)
        return samples

    def _by_key(self, shard: int, files_of_shard: list[Member]) -> dict[str, dict[str, Member]]:
        """Groups files by key (all before a name's first dot) and lower-case suffix (the rest)."""
        samples: dict[str, dict[str, Member]] = {}
        for member in files_of_shard:
            key, suffix = _split_key(member.name)
            if not posixpath.basename(key):  # hidden, such as the ._ files of macOS
                continue
            files = samples.setdefault(key, {})
            if suffix in files and suffix.endswith((*IMAGE_SUFFIXES, ".txt", ".json")):
                path = self._name(shard, member.name)
                self.faults.append(Fault("file twice", path, "the first is used", member.offset))
            files.setdefault(suffix, member)
        return samples

    def _sample(self, shard: int, key: str, files: dict[str, Member], *, excused: bool) -> Sample | None:
        image = next((files[suffix] for suffix in IMAGE_SUFFIXES if suffix in files), None)
        complete = image is not None and ".txt" in files
        dotted = [suffix for suffix in files if suffix.count(".") > 1 and suffix.endswith(IMAGE_SUFFIXES)]
        lost = [suffix for suffix in dotted if not complete or _is_captioned(suffix, files)]
        self._ignored.update(set(dotted).difference(lost))
        for member in map(files.__getitem__, lost):
            detail = f"a key ends at the first dot, so this is one more file of {posixpath.basename(key)}"
            self.faults.append(
                Fault("dot in the name", self._name(shard, member.name), detail, member.offset)
            )
        if complete:
            return Sample(shard, image, files[".txt"], files.get(".json"))
        if not excused and not (image is None and lost):
            first = next(iter(files.values()))
            reason = "no picture" if image is None else "no caption"
            self.faults.append(Fault(reason, self._name(shard, key), offset=first.offset))
        return None

    def _matches(self, sample: Sample) -> bool:
        if not self.where:
            return True
        try:
            return self.where.items() <= self._metadata(sample).items()
        except SampleError as error:
            self.faults.append(error.fault)
            return False

    def _add_damage(self, damage: Damage, shard: Path, keys: list[str]) -> None:
        beside = f" (beside {', '.join(dict.fromkeys(keys))})" if keys else ""
        self.faults.append(Fault(damage.reason, str(shard), damage.detail + beside, damage.offset))

    def _read(self, shard: int, member: Member) -> bytes:
        return self._files[shard].content[member.offset : member.offset + member.size]

    def _name(self, shard: int, name: str) -> str:
        return f"{self.shards[shard]}:{name}"


def _shards(path: Path, split: str | None) -> list[Path]:
    if path.is_file():
        return [path] if path.name.lower().endswith(SHARDS) else []
    shards = plain_files(path, *SHARDS)
    if split in SPLITS:
        return group_by_split(shards).get(split, [])
    begins = re.compile("" if split is None else rf"{re.escape(split)}(?![^\W\d_])")
    return [shard for shard in shards if begins.match(shard.name)]


def _split_key(name: str) -> tuple[str, str]:
    folder, file = posixpath.split(name)
    stem, dot, suffix = file.partition(".")
    return normalize("NFC", posixpath.join(folder, stem)), (dot + suffix).lower()


def _is_captioned(suffix: str, files: Iterable[str]) -> bool:
    """Whether other files are named after an image, so that it belongs to a sample and is not a mask."""
    stem = suffix.rpartition(".")[0]
    return any(one.startswith(f"{stem}.") and not one.endswith(IMAGE_SUFFIXES) for one in files)


def _mark_damaged_end(entries: list[Member | Damage], gzip_damage: Damage) -> list[Member | Damage]:
    """Adds the damage of a .gz to the entries of its tar, merged with the truncation that it causes."""
    last = entries[-1] if entries else None
    if isinstance(last, Damage) and last.reason == "truncated archive":
        detail = f"{gzip_damage.detail}; {last.detail}"
        return [*entries[:-1], gzip_damage._replace(offset=last.offset, detail=detail)]
    return [*entries, gzip_damage]
