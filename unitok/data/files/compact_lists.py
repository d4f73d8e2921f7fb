"""Long lists of strings and JSON values in little memory: no Python object for each. Knows no format.

A million captioned images of a tar take about 100 MB, a sixth of the memory of tuples, and forked processes
share it, since there are no reference counts in it.
"""

import json
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from unitok.data.files.tar import Member


class Names(Sequence[str]):
    """Strings in one buffer: their own bytes and eight more each."""

    def __init__(self, names: Iterable[str] = ()):
        self._buffer, self._ends = bytearray(), array("q", [0])
        for name in names:
            self.append(name)

    def append(self, name: str) -> None:
        self._buffer += name.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._buffer))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"name {index} of {len(self)}")
        index %= len(self)
        return self._buffer[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")


class Values(Sequence[Any]):
    """JSON values, stored as JSON text and parsed on access."""

    def __init__(self, values: Iterable[Any] = ()):
        self._texts = Names()
        for value in values:
            self.append(value)

    def append(self, value: Any) -> None:
        self._texts.append(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> Any:
        return json.loads(self._texts[index])


class Sample(NamedTuple):
    """The files of one sample; `shard` is the number of the source's shard."""

    shard: int
    image: Member
    caption: Member
    metadata: Member | None


class Samples(Sequence[Sample]):
    """The locations of the files of samples: 80 bytes each, and their names."""

    FIELDS = 7  # shard, then offset and size of three files; -1 is no file

    def __init__(self, samples: Iterable[Sample] = ()):
        self._numbers, self._names = array("q"), Names()
        for sample in samples:
            self.append(sample)

    def append(self, sample: Sample) -> None:
        self._numbers.append(sample.shard)
        for member in sample[1:]:
            self._numbers.extend((-1, -1) if member is None else (member.offset, member.size))
            self._names.append("" if member is None else member.name)

    def __len__(self) -> int:
        return len(self._numbers) // self.FIELDS

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        shard, *places = self._numbers[index * self.FIELDS : (index + 1) * self.FIELDS]
        image, caption, metadata = (
            Member(self._names[3 * index + number], *places[2 * number : 2 * number + 2])
            for number in range(3)
        )
        return Sample(shard, image, caption, None if metadata.offset < 0 else metadata)
