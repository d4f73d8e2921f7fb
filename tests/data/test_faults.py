"""Every injected fault is reported once, with its reason and place; every whole sample is read once."""

import json
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tests.data.samples import write_tar
from unitok.data.faults import (
    REASONS,
    Fault,
    Faults,
    SampleError,
    TooManyFaults,
    read_journal,
    write_report,
)
from unitok.data.source import Concat, Source, read
from unitok.data.sources import open_data

# ---- what can be wrong


def png(number: int) -> bytes:
    """An image of noise, so that no part of it can be missed."""
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")


def garbled(content: bytes) -> bytes:
    middle = content.index(b"IDAT") + 20
    return (
        content[:middle]
        + bytes(byte ^ 0x5A for byte in content[middle : middle + 40])
        + content[middle + 40 :]
    )


PICTURES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "truncated picture": ("damaged picture", lambda content: content[: len(content) * 2 // 3]),
    "garbled picture": ("damaged picture", garbled),
    "HTML for a picture": ("not a picture", lambda _: b"<!doctype html><title>403 Forbidden</title>"),
    "PDF for a picture": ("not a picture", lambda _: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"),
    "empty picture": ("empty file", lambda _: b""),
    "bomb": ("picture too large", lambda _: bomb()),
}
CAPTIONS: dict[str, tuple[str, bytes]] = {
    "empty caption": ("empty caption", b""),
    "caption of white space": ("empty caption", b" \n\t"),
    "Latin-1 caption": ("not UTF-8", "grün".encode("latin-1")),
    "endless caption": ("text too large", b"x" * (2**20 + 1)),
}
LOST = {"missing caption": "no caption", "missing picture": "no picture"}
TAR = {"broken tar header": "broken tar header"}
LINES: dict[str, tuple[str, Callable[[dict], bytes]]] = {
    "half a line": ("not JSON", lambda record: json.dumps(record).encode()[:-9]),
    "a list": ("not a JSON object", lambda record: json.dumps([*record]).encode()),
    "Latin-1 line": ("not UTF-8", lambda record: json.dumps(record).replace("sample", "ü").encode("latin-1")),
    "no column": ("missing column", lambda record: json.dumps({"file_name": record["file_name"]}).encode()),
    "null caption": ("no caption", lambda record: json.dumps(record | {"text": None}).encode()),
    "object for a caption": ("caption is no text", lambda record: json.dumps(record | {"text": {}}).encode()),
    "path with ..": ("path outside the folder", lambda r: json.dumps(r | {"file_name": "../x.png"}).encode()),
    "absolute path": ("path outside the folder", lambda r: json.dumps(r | {"file_name": "/x.png"}).encode()),
    "no such file": ("missing file", lambda r: json.dumps(r | {"file_name": "-" + r["file_name"]}).encode()),
    "pipe: url": ("url, not a file", lambda r: json.dumps(r | {"file_name": "pipe:touch owned"}).encode()),
}  # fmt: skip
FORMATS: dict[str, dict[str, str]] = {
    "webdataset": {k: v[0] for k, v in (PICTURES | CAPTIONS).items()} | LOST | TAR,
    "pairs": {k: v[0] for k, v in (PICTURES | CAPTIONS).items()} | LOST,
    "imagefolder": {k: v[0] for k, v in (PICTURES | LINES).items()},
}


def spoil(kind: str | None, number: int) -> tuple[bytes | None, bytes | None]:
    """Image and caption of a sample with a fault of this kind."""
    shown, said = png(number), f"sample {number}".encode()
    if kind in PICTURES:
        shown = PICTURES[kind][1](shown)
    if kind in CAPTIONS:
        said = CAPTIONS[kind][1]
    return None if kind == "missing picture" else shown, None if kind == "missing caption" else said


# ---- three formats


def plan(name: str, numbers: range, faults: int, seed: int) -> dict[int, str]:
    """Which samples get which fault: all kinds alike often; beside a broken header there is none."""
    kinds, rng = list(FORMATS[name]), random.Random(seed)
    chosen = sorted(rng.sample(numbers[1:-1:2], faults))
    return {number: kinds[i % len(kinds)] for i, number in enumerate(chosen)}


def write_shards(folder: Path, numbers: range, planned: dict[int, str], *, cut: bool) -> None:
    """Shards of 100 samples; with `cut`, a .tar.gz each, the last image of which is cut off."""
    folder.mkdir(parents=True)
    for start in range(0, len(numbers), 100):
        files: dict[str, bytes] = {}
        broken = []
        for number in numbers[start : start + 100]:
            shown, said = spoil(planned.get(number), number)
            files |= {f"{number:05d}.png": shown} if shown is not None else {}
            files |= {f"{number:05d}.txt": said} if said is not None else {}
            broken += [f"{number:05d}.png"] if planned.get(number) == "broken tar header" else []
        path = folder / f"{'cut' if cut else 'whole'}-{start:05d}.tar"
        write_tar(path, files)
        content = bytearray(path.read_bytes())
        for name in broken:
            place = content.index(name.encode())
            content[place + 100 : place + 156] = bytes(56)  # mode, owner, size, time, checksum
        path.write_bytes(content)
        if cut:
            squeezed = zlib.compressobj(6, wbits=31)
            end = content.index(f"{numbers[start : start + 100][-1]:05d}.txt".encode())
            whole = squeezed.compress(bytes(content[: end - 300])) + squeezed.flush(zlib.Z_FULL_FLUSH)
            path.with_suffix(".tar.gz").write_bytes(whole)
            path.unlink()


def write_pairs(folder: Path, numbers: range, planned: dict[int, str]) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        for suffix, content in zip((".png", ".txt"), spoil(planned.get(number), number), strict=True):
            if content is not None:
                (folder / f"{number:05d}{suffix}").write_bytes(content)


def write_imagefolder(folder: Path, numbers: range, planned: dict[int, str]) -> None:
    folder.mkdir(parents=True)
    lines = []
    for number in numbers:
        kind = planned.get(number)
        (folder / f"{number:05d}.png").write_bytes(spoil(kind, number)[0])
        record = {"file_name": f"{number:05d}.png", "text": f"sample {number}"}
        lines.append(LINES[kind][1](record) if kind in LINES else json.dumps(record).encode())
    (folder / "metadata.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def place_of(fault: Fault, folder: Path) -> str:
    """What tells the number of the sample: its name, or its line."""
    if fault.path.endswith(".jsonl"):
        line = (folder / "imagefolder/metadata.jsonl").read_bytes()[: fault.offset].count(b"\n")
        return f"line {line}"
    return fault.path + fault.detail


class Reads(Dataset):
    """Each document as its caption, or its fault."""

    def __init__(self, source: Source):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> str | Fault:
        found = read(self.source, index)
        return found if isinstance(found, Fault) else found[0].content


def tally(source: Source, workers: int) -> tuple[list[str], list[Fault]]:
    loader = DataLoader(Reads(source), batch_size=64, num_workers=workers, collate_fn=list)
    found = [one for batch in loader for one in batch]
    captions = [one for one in found if isinstance(one, str)]
    return captions, [*source.faults, *(one for one in found if isinstance(one, Fault))]


def check_every_fault_is_found(folder: Path, samples: int, faults: int, workers: list[int]) -> None:
    """A third of the samples and faults in each format; of the tars a fifth are cut .tar.gz."""
    third, each = samples // 300 * 100, faults // 3
    in_tars, first = faults - 2 * each, samples - 2 * third
    numbers = {
        "webdataset": range(first),
        "pairs": range(first, first + third),
        "imagefolder": range(first + third, samples),
    }
    cut = max(1, first // 500)
    whole, tails = range(first - cut * 100), range(first - cut * 100, first)
    planned = {
        "webdataset": plan("webdataset", whole, in_tars - cut, 0),
        "pairs": plan("pairs", numbers["pairs"], each, 1),
        "imagefolder": plan("imagefolder", numbers["imagefolder"], each, 2),
    }
    expected: dict[int, str] = {}
    write_shards(folder / "webdataset", whole, planned["webdataset"], cut=False)
    write_shards(folder / "cut", tails, {}, cut=True)
    write_pairs(folder / "pairs", numbers["pairs"], planned["pairs"])
    write_imagefolder(folder / "imagefolder", numbers["imagefolder"], planned["imagefolder"])
    for name, kinds in planned.items():
        expected |= {number: FORMATS[name][kind] for number, kind in kinds.items()}
    expected |= {tails[i + 99]: "truncated archive" for i in range(0, len(tails), 100)}
    assert len(expected) == faults
    source = open_data([str(folder / name) for name in ("webdataset", "cut", "pairs", "imagefolder")])
    for count in workers:
        captions, found = tally(source, count)
        assert Counter(fault.reason for fault in found) == Counter(expected.values())
        written = set(range(samples)) - expected.keys()
        assert Counter(captions) == Counter(f"sample {number}" for number in written)
        places = [(fault.reason, place_of(fault, folder)) for fault in found]
        for number, reason in expected.items():
            line = f"line {number - numbers['imagefolder'][0]}"
            named = [p for r, p in places if r == reason and (f"{number:05d}" in p or p == line)]
            assert len(named) == 1, (number, reason, named)
        placed = [fault for fault in found if ".tar" in fault.path and fault.offset is not None]
        assert len(placed) == in_tars


def test_nine_hundred_samples_with_faults_of_all_kinds(tmp_path):
    assert len({kind for kinds in FORMATS.values() for kind in kinds}) >= 20
    check_every_fault_is_found(tmp_path, 900, 120, [0, 2])


@pytest.mark.slow
def test_ten_thousand_samples_with_a_thousand_faults(tmp_path):
    check_every_fault_is_found(tmp_path, 10_000, 1_000, [0, 2])


# ---- counting


def test_the_share_of_faults_stops_a_run_after_a_thousand_samples():
    faults = Faults(max_share=0.1, after=100, name="set")
    faults.add(*(Fault("no caption", f"{i}.png") for i in range(50)))  # too early to tell
    faults.add_intact(49)
    with pytest.raises(TooManyFaults, match=r"set: 50 of 100 samples .* 10%: 50 no caption.*first is 0\.png"):
        faults.add_intact()
    patient = Faults(max_share=0.5, after=100)
    patient.add(*(Fault("no caption", "a") for _ in range(60)))
    patient.add_intact(60)
    assert patient.total == 60
    with pytest.raises(ValueError, match=r"max_share must be in .0, 1."):
        Faults(max_share=2)


def test_the_report_has_counts_and_places(tmp_path):
    faults = Faults()
    faults.add(Fault("no picture", "a.tar:b", offset=512), Fault("no caption", "c"), Fault("no caption", "d"))
    faults.add_intact(7)
    report = json.loads(write_report(tmp_path / "new", faults.report()).read_text())
    assert report["samples"] == 10 and report["whole"] == 7 and report["faults"] == 3
    assert report["reasons"] == {"no caption": 2, "no picture": 1} and set(report["reasons"]) <= set(REASONS)
    assert report["listed"][0] == {"reason": "no picture", "path": "a.tar:b", "detail": "", "offset": 512}


def test_names_that_no_terminal_can_print_are_escaped():
    assert str(Fault("no caption", "a\udcff.png")) == "a\\udcff.png: no caption"


def test_any_refusal_of_a_source_is_a_fault_and_no_other_index_is_read():
    class Odd(Source):
        asked: tuple = ()

        def __len__(self):
            return 3

        def __getitem__(self, index):
            self.asked += (index,)
            raise (SampleError("no caption", "a"), ValueError("odd"), OSError("gone"))[index]

    source = Odd()
    assert [read(source, i).reason for i in range(3)] == ["no caption", "unreadable", "unreadable"]
    assert source.asked == (0, 1, 2)
    assert Concat([source, source]).faults == []


@pytest.mark.parametrize(
    "cut", [b'{"reason": "no capt', b"\xff\xfe", b"[1]", b'{"reason": 3, "path": "p"}', b"\0\0", b"{}"]
)
def test_a_journal_that_was_cut_short_is_read_and_gone_on_with(tmp_path, cut, caplog):
    journal = tmp_path / "run/data_faults.jsonl"
    faults = Faults(journal=journal, name="x")
    faults.add(Fault("no caption", "a"))
    with journal.open("ab") as file:
        file.write(cut)
    faults.add(Fault("no caption", "星"))
    report = read_journal(journal)
    assert [fault["path"] for fault in report["listed"]] == ["a", "星"]
    assert "1 corrupt lines" in caplog.text
