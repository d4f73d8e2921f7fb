"""WebDataset: captioned images in tar shards. Knows how their files are named; nothing is unpickled."""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unicodedata import normalize

from unitok.data.faults import Fault, SampleError, by_reason, summary, tell
from unitok.data.files.compact_lists import Sample, Samples
from unitok.data.files.gzip_shards import Unpacked
from unitok.data.files.images import PICTURES
from unitok.data.files.list_files import plain_files
from unitok.data.files.open_records import Look
from unitok.data.files.remote import local
from unitok.data.files.splits import SPLITS, Part, by_split
from unitok.data.files.tar import Break, Member, members, neighbours
from unitok.data.readers.segments import MOST_TEXT, picture, text
from unitok.data.source import Reader, Source, of_split, tell_once
from unitok.document import Document, Segment

SHARDS = (".tar", ".tar.gz", ".tgz")


class WebDataset(Reader):
    """Captioned pictures from tar shards, indexed once and read in place.

    A sample is KEY.png (or another picture), KEY.txt and perhaps KEY.json. KEY ends at the first dot: an
    image that belongs to no sample because of another dot is a fault. Other files are passed over, nothing is
    unpickled or run. Shards may be .tar.gz, which are unpacked into a temporary file first. A damage of a
    shard is one fault, with the samples that it leaves incomplete; what follows it is read.

    Args:
        path: a folder of shards, or one shard, also as a URL (see `remote`).
        split: train, val or test, which a word of a shard's name says; or what their names begin with, before
            something that is no letter. None takes all.
        where: keeps the samples whose metadata has these values, such as {"subset": "combo"}.

    Raises:
        FileNotFoundError: there is no such shard.
        ValueError: no sample is left.
    """

    format = "webdataset"
    looks_like = "a folder of tar shards (.tar, .tar.gz, .tgz), or one of them"
    PICTURES = PICTURES

    def __init__(self, path: str, split: str | None = "train", where: dict[str, Any] | None = None):
        self.path, self.split, self.where = path, split, dict(where or {})
        self.shards = _shards(local(path), split)
        if not self.shards:
            wanted = "shards" if split is None else f"shards {split}-*.tar"
            raise FileNotFoundError(f"the folder {path} has no {wanted}")
        self.faults: list[Fault] = []
        self._beside: Counter[str] = Counter()
        self._files = [Unpacked(shard) for shard in self.shards]
        self.samples = Samples(s for number in range(len(self.shards)) for s in self._index(number))
        tell(*self.faults)
        if self._beside:
            kinds = ", ".join(suffix for suffix, _ in self._beside.most_common(8))
            said = f"{self._beside.total()} images are passed over, which lie beside those of samples"
            tell_once(f"{path}: {said}: {kinds}")
        if not self.samples:
            raise ValueError(f"no sample of {path}/{split or ''}*.tar is left: {self._said_of_all()}")

    @classmethod
    def fits(cls, look: Look) -> bool:
        return bool(_shards(look.path, None))

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        there = by_split(_shards(path, None)) if path.is_dir() else {}
        if part is None or not there:
            return super().open(path, part, split=None, **settings)
        return of_split(lambda split: cls(str(path), split, **settings), part, there, path=path)

    def _said_of_all(self) -> str:
        """What was wrong with all samples, with one that shows it."""
        shown = max(self.faults, key=lambda fault: fault.reason == "dot in the name", default=None)
        such = f", such as {shown}" if shown else ""
        wanted = f", wanted are those with {self.where}" if self.where else ""
        return f"dropped are {summary(self.dropped)}{such}{wanted}"

    @property
    def dropped(self) -> Counter[str]:
        """How many samples were left out while indexing, by reason."""
        return by_reason(self.faults)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Document:
        sample = self.samples[index]
        place = {"path": self._name(sample.shard, sample.picture.name), "offset": sample.picture.offset}
        caption = Segment("text", self.caption(index))
        return caption, picture(self._read(sample.shard, sample.picture), **place)

    def caption(self, index: int) -> str:
        """The caption alone, without decoding the picture."""
        sample = self.samples[index]
        member = sample.caption._replace(size=min(sample.caption.size, MOST_TEXT + 1))
        place = {"path": self._name(sample.shard, member.name), "offset": member.offset}
        return text(self._read(sample.shard, member), **place).content

    def metadata(self, index: int) -> dict[str, Any]:
        """A sample's json record; empty where it has none."""
        return self._metadata(self.samples[index])

    def _metadata(self, sample: Sample) -> dict[str, Any]:
        if sample.metadata is None:
            return {}
        member = sample.metadata
        path = self._name(sample.shard, member.name)
        try:
            if member.size > MOST_TEXT:
                raise ValueError(f"{member.size} bytes")
            record = json.loads(self._read(sample.shard, member))
        except (ValueError, RecursionError) as error:
            detail = f"not JSON: {error}"
            raise SampleError("damaged metadata", path, detail, offset=member.offset) from error
        if not isinstance(record, dict):
            detail = f"got {record!r:.80}, expected a JSON object"
            raise SampleError("damaged metadata", path, detail, offset=member.offset)
        return record

    # -- indexing

    def _index(self, shard: int) -> list[Sample]:
        """The samples of one shard that are whole and wanted."""
        file = self._files[shard]
        found = list(members(file.content))
        if not file.content and file.broken is None:
            self.faults.append(Fault("empty file", str(self.shards[shard])))
        if file.broken is not None:
            found = _ended(found, file.broken)
        excused: set[str] = set()
        for index, broken in enumerate(found):
            if isinstance(broken, Break):
                keys = [_key(member.name)[0] for member in neighbours(found, index)]
                excused.update(keys)
                self._fault(broken, self.shards[shard], keys)
        samples = []
        for key, files in self._by_key(shard, [m for m in found if isinstance(m, Member)]).items():
            sample = self._sample(shard, key, files, excused=key in excused)
            if sample is not None and self._wanted(sample):
                samples.append(sample)
        return samples

    def _by_key(self, shard: int, found: list[Member]) -> dict[str, dict[str, Member]]:
        """Files by key (all before a name's first dot) and lower-case suffix (the rest)."""
        samples: dict[str, dict[str, Member]] = {}
        for member in found:
            key, suffix = _key(member.name)
            if not posixpath.basename(key):  # hidden, such as the ._ files of macOS
                continue
            files = samples.setdefault(key, {})
            if suffix in files and suffix.endswith((*PICTURES, ".txt", ".json")):
                path = self._name(shard, member.name)
                self.faults.append(Fault("file twice", path, "the first is kept", member.offset))
            files.setdefault(suffix, member)
        return samples

    def _sample(self, shard: int, key: str, files: dict[str, Member], *, excused: bool) -> Sample | None:
        shown = next((files[suffix] for suffix in PICTURES if suffix in files), None)
        whole = shown is not None and ".txt" in files
        dotted = [suffix for suffix in files if suffix.count(".") > 1 and suffix.endswith(PICTURES)]
        lost = [suffix for suffix in dotted if not whole or _is_captioned(suffix, files)]
        self._beside.update(set(dotted).difference(lost))
        for member in map(files.__getitem__, lost):
            detail = f"a key ends at the first dot, so this is one more file of {posixpath.basename(key)}"
            self.faults.append(
                Fault("dot in the name", self._name(shard, member.name), detail, member.offset)
            )
        if whole:
            return Sample(shard, shown, files[".txt"], files.get(".json"))
        if not excused and not (shown is None and lost):
            first = next(iter(files.values()))
            reason = "no picture" if shown is None else "no caption"
            self.faults.append(Fault(reason, self._name(shard, key), offset=first.offset))
        return None

    def _wanted(self, sample: Sample) -> bool:
        if not self.where:
            return True
        try:
            return self.where.items() <= self._metadata(sample).items()
        except SampleError as error:
            self.faults.append(error.fault)
            return False

    def _fault(self, broken: Break, shard: Path, keys: list[str]) -> None:
        beside = f" (beside {', '.join(dict.fromkeys(keys))})" if keys else ""
        self.faults.append(Fault(broken.reason, str(shard), broken.detail + beside, broken.offset))

    def _read(self, shard: int, member: Member) -> bytes:
        return self._files[shard].content[member.offset : member.offset + member.size]

    def _name(self, shard: int, name: str) -> str:
        return f"{self.shards[shard]}:{name}"


def _shards(path: Path, split: str | None) -> list[Path]:
    if path.is_file():
        return [path] if path.name.lower().endswith(SHARDS) else []
    shards = plain_files(path, *SHARDS)
    if split in SPLITS:
        return by_split(shards).get(split, [])
    begins = re.compile("" if split is None else rf"{re.escape(split)}(?![^\W\d_])")
    return [shard for shard in shards if begins.match(shard.name)]


def _key(name: str) -> tuple[str, str]:
    folder, file = posixpath.split(name)
    stem, dot, suffix = file.partition(".")
    return normalize("NFC", posixpath.join(folder, stem)), (dot + suffix).lower()


def _is_captioned(suffix: str, files: Iterable[str]) -> bool:
    """Whether other files are named after an image, so that it was meant for a sample and not for a mask."""
    stem = suffix.rpartition(".")[0]
    return any(one.startswith(f"{stem}.") and not one.endswith(PICTURES) for one in files)


def _ended(found: list[Member | Break], broken: Break) -> list[Member | Break]:
    """The files of a tar whose .gz is damaged: that what is left of it has no end is the same damage."""
    cut = found[-1] if found else None
    if isinstance(cut, Break) and cut.reason == "truncated archive":
        return [*found[:-1], broken._replace(offset=cut.offset, detail=f"{broken.detail}; {cut.detail}")]
    return [*found, broken]
