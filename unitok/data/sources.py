"""Readers: each turns one real format into Documents. Knows no ids and no tokenizer."""

import json
import logging
import posixpath
import tarfile
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

from unitok.data.images import load_image
from unitok.document import Document, Segment

log = logging.getLogger(__name__)


class Source(ABC):
    """A finite, random-access set of documents, each a pure function of its index.

    A picture with a caption is always `(Segment("text", caption), Segment("image", picture))`; which of the
    two comes first in training is decided later, by the task.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Document: ...


class Together(Source):
    """Several sources, one after the other."""

    def __init__(self, sources: list[Source]):
        if not sources:
            raise ValueError("Together needs one source or more")
        self.sources = list(sources)
        self.ends = list(accumulate(len(source) for source in self.sources))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number = bisect_right(self.ends, index)
        return self.sources[number][index - (self.ends[number - 1] if number else 0)]


class PictureFolder(Source):
    """The pictures in a folder and those below it, by name, without captions.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: it holds no .png, .jpg, .jpeg or .webp.
    """

    def __init__(self, path: str):
        files = Path(path).rglob("*") if Path(path).is_dir() else []
        self.files = sorted(file for file in files if file.suffix.lower() in WebDataset.PICTURES)
        if not self.files:
            raise FileNotFoundError(f"the folder {path} has no pictures ({', '.join(WebDataset.PICTURES)})")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Document:
        return (Segment("image", load_image(self.files[index])),)


class Member(NamedTuple):
    """Where a file's bytes lie in a shard."""

    name: str
    offset: int
    size: int


class Sample(NamedTuple):
    """The files of one sample; `shard` counts the source's shards."""

    shard: int
    picture: Member
    caption: Member
    metadata: Member | None


class WebDataset(Source):
    """Captioned pictures from the tar shards `split`-*.tar of a folder, indexed once and read in place.

    A sample is KEY.png (.jpg, .jpeg, .webp), KEY.txt and perhaps KEY.json; other files are passed over,
    nothing is unpickled or run. `where` keeps the samples whose metadata has these values, such as
    {"subset": "combo"}. `dropped` counts the samples left out for a fault, by reason.
    """

    PICTURES = (".png", ".jpg", ".jpeg", ".webp")

    def __init__(self, path: str, split: str = "train", where: dict[str, Any] | None = None):
        self.path, self.split, self.where = path, split, dict(where or {})
        self.shards = sorted(Path(path).glob(f"{split}-*.tar"))
        if not self.shards:
            raise FileNotFoundError(f"the folder {path} has no shards {split}-*.tar")
        self.dropped: Counter[str] = Counter()
        self._maps: dict[int, mmap] = {}
        self.samples = [s for number in range(len(self.shards)) for s in self._index(number)]
        if not self.samples:
            raise ValueError(
                f"no sample of {path}/{split}-*.tar is left: {self.where=}, {dict(self.dropped)=}"
            )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Document:
        sample = self.samples[index]
        picture = load_image(
            self._read(sample.shard, sample.picture), name=self._name(sample, sample.picture)
        )
        return Segment("text", self.caption(index)), Segment("image", picture)

    def caption(self, index: int) -> str:
        """The caption alone, without decoding the picture."""
        sample = self.samples[index]
        try:
            return self._read(sample.shard, sample.caption).decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"{self._name(sample, sample.caption)}: not UTF-8: {error}") from error

    def metadata(self, index: int) -> dict[str, Any]:
        """A sample's json record; empty where it has none."""
        return self._metadata(self.samples[index])

    def _metadata(self, sample: Sample) -> dict[str, Any]:
        if sample.metadata is None:
            return {}
        try:
            record = json.loads(self._read(sample.shard, sample.metadata))
        except ValueError as error:
            raise ValueError(f"{self._name(sample, sample.metadata)}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"{self._name(sample, sample.metadata)}: got {record!r}, expected a JSON object")
        return record

    def _index(self, shard: int) -> list[Sample]:
        """The samples of one shard that are whole and wanted."""
        samples = []
        for key, members in _members(self.shards[shard]).items():
            picture = next((members[suffix] for suffix in self.PICTURES if suffix in members), None)
            if picture is None:
                self._drop(shard, key, "no picture")
            elif ".txt" not in members:
                self._drop(shard, key, "no caption")
            elif self._wanted(sample := Sample(shard, picture, members[".txt"], members.get(".json")), key):
                samples.append(sample)
        return samples

    def _wanted(self, sample: Sample, key: str) -> bool:
        if not self.where:
            return True
        try:
            return self.where.items() <= self._metadata(sample).items()
        except ValueError:
            self._drop(sample.shard, key, "damaged metadata")
            return False

    def _drop(self, shard: int, key: str, reason: str) -> None:
        self.dropped[reason] += 1
        log.warning("%s: %s is dropped: %s", self.shards[shard], key, reason)

    def _read(self, shard: int, member: Member) -> bytes:
        """A file's bytes through a memory map: it has no position that processes could share."""
        if shard not in self._maps:
            with self.shards[shard].open("rb") as file:
                self._maps[shard] = mmap(file.fileno(), 0, access=ACCESS_READ)
        return self._maps[shard][member.offset : member.offset + member.size]

    def _name(self, sample: Sample, member: Member) -> str:
        return f"{self.shards[sample.shard]}:{member.name}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}


def _members(shard: Path) -> dict[str, dict[str, Member]]:
    """The plain files of a shard by key (all before a name's first dot) and lower-case suffix (the rest).

    Only the headers are read.
    """
    samples: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for info in archive:
                if info.isreg() and not info.issparse():
                    folder, name = posixpath.split(info.name)
                    stem, dot, suffix = name.partition(".")
                    member = Member(info.name, info.offset_data, info.size)
                    samples.setdefault(posixpath.join(folder, stem), {})[(dot + suffix).lower()] = member
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(f"{shard}: not a whole, uncompressed tar file: {error}") from error
    return samples
