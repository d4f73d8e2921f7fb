"""Files that would keep a decoder busy for minutes are refused at once, honest ones are read."""

import struct
import time
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unitok.data.files import bounded_file
from unitok.data.files.bounded_file import MAX_SCANS, count_scans
from unitok.data.files.images import ImageError, load_image


def file_of(form: str, size=(64, 64), **options) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, "red").save(file, form, **options)
    return file.getvalue()


def jpeg(more: int) -> bytes:
    """A progressive JPEG with so many scans more, of no code."""
    content = file_of("JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last : last + 10] * more + b"\xff\xd9"


def gif(blocks: int) -> bytes:
    """A GIF with a comment in so many blocks."""
    content = file_of("GIF")
    start = 13 + (3 << (content[10] & 7) + 1 if content[10] & 128 else 0)
    return content[:start] + b"\x21\xfe" + b"\x01a" * blocks + b"\0" + content[start:]


def png(kind: bytes, chunks: int) -> bytes:
    """A PNG with so many empty chunks of a kind."""
    content = file_of("PNG")
    empty = struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))
    return content[:33] + empty * chunks + content[33:]


def bmp(pixels: int) -> bytes:
    """A BMP whose pixels are runs of one, in 256 greys."""
    side = int(pixels**0.5)
    runs, greys = (b"\x01\x05" * side + b"\0\0") * side, b"".join(bytes([i, i, i, 0]) for i in range(256))
    about = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(runs), 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024)
    return head + about + greys + runs + b"\0\1"


def tiff(
    *more: tuple[int, int, int, int], content: bytes = b"", order: str = "<", wide: bool = False
) -> bytes:
    """A grey TIFF of 8 x 8 pixels, with more tags (number, type, count, offset), which may hold `content`."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 16, 278: 8, 279: 64}
    found = {tag: (tag, 4, 1, value) for tag, value in tags.items()} | {tag[0]: tag for tag in more}
    pixels = bytes(64) + content
    count, entry, place = ("Q", "HHQQ", "Q") if wide else ("H", "HHII", "I")
    start = struct.pack(
        order + ("HHHQ" if wide else "HI"), *((43, 8, 0) if wide else (42,)), 16 + len(pixels)
    )
    head = (b"II" if order == "<" else b"MM") + start
    directory = struct.pack(order + count, len(found))
    directory += b"".join(struct.pack(order + entry, *tag) for tag in sorted(found.values()))
    return head.ljust(16, b"\0") + pixels + directory + struct.pack(order + place, 0)


COSTLY = {
    "a JPEG of many scans": (jpeg(20_000), "scans"),
    "a GIF with a comment in pieces": (gif(60_000), "pieces"),
    "a PNG of many chunks": (png(b"prVt", 60_000), "pieces"),
    "a PNG of many texts": (png(b"tEXt", 60_000), "pieces"),
    "a PNG of many empty data": (png(b"IDAT", 4000), "pieces"),
    "a BMP of runs of one": (bmp(10_000), "pieces"),
    "a TIFF whose tags are all of it": (
        tiff(*((1000 + i, 2, 2**18, 16) for i in range(400)), content=bytes(2**18)), "again and again",
    ),
    "a TIFF of many strips": (tiff((273, 1, 2**20, 16), content=bytes(2**20)), "tiles or strips"),
    "a TIFF of many tiles": (tiff((324, 1, 2**20, 16), content=bytes(2**20), order=">"), "tiles or strips"),
    "a BigTIFF of many strips": (tiff((273, 1, 2**20, 16), content=bytes(2**20), wide=True), "or strips"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "says"), COSTLY.values(), ids=COSTLY)
def test_what_would_take_a_decoder_long_is_refused(content, says, tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_file, "MAX_READS_LOADING", 5000)  # quicker than the million of a real one
    (tmp_path / "a").write_bytes(content)
    started = time.process_time()
    for source in (content, tmp_path / "a"):
        with pytest.raises(ImageError, match=says) as raised:
            load_image(source)
        assert raised.value.reason == "picture too large"
    assert time.process_time() - started < 20


def test_honest_files_of_the_same_kinds_are_read():
    for content in (jpeg(80), gif(2000), png(b"tEXt", 2000), png(b"IDAT", 2000), bmp(4096)):
        assert load_image(content).size == (64, 64)
    for content in (tiff(), tiff(order=">"), tiff(wide=True)):
        assert load_image(content).size == (8, 8)


def test_what_looks_like_a_scan_in_a_note_or_behind_the_end_is_none():
    content, note = file_of("JPEG"), b"\xff\xda" * 2 * MAX_SCANS
    noted = content[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(note)) + note + content[2:]
    assert count_scans(noted) == 1 and load_image(noted).size == (64, 64)
    assert count_scans(noted + note) == 1 and load_image(noted + note).size == (64, 64)


@given(
    st.lists(st.sampled_from([b"\xff\xda", b"\xff\xff\xda", b"\xff\xd0", b"\xff\x00", b"abc"]), max_size=400)
)
def test_filled_and_restarted_scans_are_counted(parts):
    head, wanted = b"\xff\xd8", sum(part.endswith(b"\xda") for part in parts)
    body = b"".join(part + b"\0\x02" if part.endswith(b"\xda") else part for part in parts)
    assert min(count_scans(head + body), MAX_SCANS + 1) == min(wanted, MAX_SCANS + 1)
