"""One shard of a store: documents of codes as arrays. Knows no codec, no index and no ids.

A shard is a safetensors file that holds, for its D documents with S segments of C codes in all:

    codes      int16 or int32 [C]      every segment's codes, one after another
    offsets    int64 [S + 1]           where each segment's codes begin
    segments   int32 [S, 2 + sides]    modality (its number), learn, then the shape; -1 is no side
    documents  int64 [D + 1]           where each document's segments begin
"""

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import sub
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from unitok.atomic_files import write_bytes
from unitok.document import Codes

TYPES = {"I16": np.int16, "I32": np.int32, "I64": np.int64}
ARRAYS = {
    "codes": (("I16", "I32"), 1),
    "offsets": (("I64",), 1),
    "segments": (("I32",), 2),
    "documents": (("I64",), 1),
}
"""The arrays of a file: their types and number of dimensions."""


class Shard(NamedTuple):
    """The arrays of one file."""

    codes: Int[np.ndarray, " c"]
    offsets: Int64[np.ndarray, " s+1"]
    segments: Int[np.ndarray, "s _"]
    documents: Int64[np.ndarray, " d+1"]


def to_shard(documents: Sequence[Sequence[Codes]], names: Sequence[str], *, wide: bool) -> Shard:
    """Converts documents to arrays; `wide` codes take four bytes each, others two."""
    flat = [codes for document in documents for codes in document]
    sides = max((len(codes.shape) for codes in flat), default=0)
    rows = [(names.index(c.modality), c.learn, *c.shape, *[-1] * (sides - len(c.shape))) for c in flat]
    values = [codes.codes.numpy() for codes in flat]
    return Shard(
        np.concatenate(values or [np.empty(0)]).astype(np.int32 if wide else np.int16),
        np.array([0, *accumulate(map(len, values))], np.int64),
        np.array(rows, np.int32).reshape(len(flat), 2 + sides),
        np.array([0, *accumulate(map(len, documents))], np.int64),
    )


def write_shard(file: Path, shard: Shard, metadata: dict[str, str]) -> None:
    """Writes a shard to a file, atomically."""
    write_bytes(file, save(shard._asdict(), metadata=metadata), durable=True)


def read_documents(places: Iterable[tuple[Shard, int]], names: Sequence[str]) -> list[list[Codes]]:
    """Reads documents by shard and index within it; `names` are the modalities by number."""
    rows: list[list[list[int]]] = []
    pieces, sizes = [np.empty(0, np.int64)], [0]
    for shard, index in places:
        first, last = shard.documents[index : index + 2].tolist()
        offsets = shard.offsets[first : last + 1].tolist()
        rows.append(shard.segments[first:last].tolist())
        pieces.append(shard.codes[offsets[0] : offsets[-1]])
        sizes += map(sub, offsets[1:], offsets)
    codes = iter(torch.from_numpy(np.concatenate(pieces, dtype=np.int64)).split(sizes)[1:])
    return [[_to_codes(row, names, next(codes)) for row in document] for document in rows]


def _to_codes(row: Sequence[int], names: Sequence[str], codes: Tensor) -> Codes:
    modality, learn, *shape = row
    return Codes(names[modality], codes, tuple([side for side in shape if side >= 0]), bool(learn))


def map_shard(file: Path) -> Shard:
    """Memory-maps the arrays of a shard. Raises ValueError if the file is corrupt."""
    read_metadata(file)  # safetensors checks that the arrays are within the file
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    for name, (types, sides) in ARRAYS.items():
        field = header.get(name, {"dtype": "nothing", "shape": ()})
        if field["dtype"] not in types or len(field["shape"]) != sides:
            raise ValueError(
                f"{file}: {name} must be {' or '.join(types)} of {sides} dimensions, got {field['dtype']} of "
                f"shape {list(field['shape'])}; remove the file"
            )
    data = np.memmap(file, np.uint8, "r").view(np.ndarray)[8 + size :]
    fields = (header[name] for name in Shard._fields)
    shard = Shard(
        *(
            data[slice(*field["data_offsets"])].view(TYPES[field["dtype"]]).reshape(field["shape"])
            for field in fields
        )
    )
    if not _is_consistent(shard):
        raise ValueError(f"{file}: its documents, segments and codes are inconsistent; remove the file")
    return shard


def _is_consistent(shard: Shard) -> bool:
    """Whether documents partition the segments, and segments the codes."""
    runs = ((shard.documents, len(shard.segments)), (shard.offsets, len(shard.codes)))
    whole = all(
        len(ends) and ends[0] == 0 and ends[-1] == count and (np.diff(ends) >= 0).all()
        for ends, count in runs
    )
    return whole and len(shard.offsets) == len(shard.segments) + 1 and shard.segments.shape[1] >= 2


def read_metadata(file: Path) -> dict[str, str]:
    """Reads the metadata of a shard. Raises ValueError if the file is corrupt."""
    try:
        with safe_open(file, "numpy") as opened:
            return opened.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{file}: corrupt or not safetensors ({error}); remove the file") from error
