"""Files are found in every kind of tar, and after a damage the search goes on."""

import gzip
import io
import os
import resource
import signal
import tarfile
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.samples import png, told, write_tar
from unitok.data.files import gzip_shards
from unitok.data.files.tar import Damage, Member, _parse_extension, members
from unitok.data.readers.webdataset import WebDataset
from unitok.data.sources import open_data

FILES = {"a.txt": b"one", "deep/" + "long" * 60 + ".txt": b"two" * 400, "ü.txt": b"", "z.bin": bytes(512)}


def tar(files=FILES, **options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def contents(whole: bytes) -> dict[str, bytes]:
    found = [m for m in members(whole) if isinstance(m, Member)]
    return {m.name: whole[m.offset : m.offset + m.size] for m in found}


def breaks(whole: bytes) -> list[tuple[str, int]]:
    return [(m.reason, m.offset) for m in members(whole) if isinstance(m, Damage)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_with_long_names(form):
    files = FILES if form != tarfile.USTAR_FORMAT else {"a.txt": b"one", "d/" * 60 + "b": b"two"}
    whole = tar(files, format=form)
    assert contents(whole) == files and not breaks(whole)
    assert contents(whole + whole) == files  # one after the other


def test_links_folders_and_devices_are_passed_over():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("x.txt")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("y.txt")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"hi"))
    assert contents(buffer.getvalue()) == {"y.txt": b"hi"}


def test_after_a_broken_header_the_next_is_found():
    whole = bytearray(tar(format=tarfile.GNU_FORMAT))
    place = whole.index(b"a.txt")
    whole[place + 148 : place + 156] = b"nonsense"
    assert list(contents(bytes(whole))) == list(FILES)[1:]
    assert breaks(bytes(whole)) == [("broken tar header", place)]


@pytest.mark.parametrize("cut", [100, 512, 700, 1500, 3000])
def test_the_end_may_be_missing(cut):
    whole = tar({"a": bytes(100), "b": b"x" * 2000})
    names = {100: [], 512: [], 700: ["a"], 1500: ["a"], 3000: ["a"]}[cut]
    assert list(contents(whole[:cut])) == names
    assert [reason for reason, _ in breaks(whole[:cut])] == ["truncated archive"]
    assert breaks(whole[:1024]) == []  # between two files nobody can tell


def test_sizes_that_cannot_be_are_breaks_and_end():
    whole = bytearray(tar({"a": b"x", "b": b"y"}))
    huge = tarfile.TarInfo("a")
    huge.size = 2**60
    assert breaks(huge.tobuf(tarfile.GNU_FORMAT) + bytes(whole)) == [("truncated archive", 0)]
    huge.size = -5
    assert breaks(huge.tobuf(tarfile.GNU_FORMAT) + bytes(whole)) == [("broken tar header", 0)]


def extended(records: bytes, *, name: str = "a.txt", content: bytes = b"one") -> bytes:
    """A file after an extended header of these records."""

    def member(name: str, kind: bytes, data: bytes) -> bytes:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)

    return member("x", tarfile.XHDTYPE, records) + member(name, tarfile.REGTYPE, content)


def record(name: str, value: str) -> bytes:
    rest = f" {name}={value}\n".encode()
    length = next(n for n in range(len(rest), len(rest) + 9) if n == len(rest) + len(str(n)))
    return str(length).encode() + rest


@pytest.mark.parametrize("size", ["²", "٣", "5" * 5000, "-3", "", " 3", "3.0", "1_0", "0x3", "nan"])
def test_a_size_that_is_no_number_breaks_its_file_alone(size):
    whole = extended(record("size", size)) + tar({"b.txt": b"two"})
    assert contents(whole) == {"b.txt": b"two"}
    assert breaks(whole) == [("broken tar header", len(extended(record("size", size))) - 1024)]


def test_a_size_in_an_extended_header_counts():
    whole = extended(record("size", "3") + record("path", "long.txt")) + tar({"b.txt": b"two"})
    assert contents(whole) == {"long.txt": b"one", "b.txt": b"two"}
    assert breaks(extended(record("size", "9" * 19))) == [("truncated archive", 1024)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["size", "path", "GNU.sparse.size", "x"]), st.text(max_size=6))
        | st.binary(max_size=12),
        max_size=4,
    )
)
def test_any_extended_header_is_survived(records):
    whole = extended(b"".join(one if isinstance(one, bytes) else record(*one) for one in records))
    for found in members(whole + tar({"b.txt": b"two"})):
        if isinstance(found, Member):
            assert 0 <= found.offset <= found.offset + found.size <= len(whole) + 10_240


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=12, max_size=12), st.sampled_from([b"0", b"5", b"L", b"S", b"V", b"\0", b"1"]))
def test_any_size_in_a_header_is_survived(size, kind):
    header = bytearray(tar({"a.txt": b"one"})[:512])
    header[124:136], header[156:157], header[148:156] = size, kind, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    whole = bytes(header) + bytes(512) + tar({"b.txt": b"two"})
    for found in members(whole):
        if isinstance(found, Member):
            assert 0 <= found.offset <= found.offset + found.size <= len(whole)


def test_an_extended_header_is_read_in_one_pass():
    class Counted(bytes):
        taken = 0

        def __getitem__(self, key):
            found = Counted(super().__getitem__(key))
            Counted.taken += len(found)
            return found

    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    data = Counted(b"6 a=b\n" * 10_000)
    assert _parse_extension(info, data) == {"a": "b"}
    assert Counted.taken < len(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12), st.integers(0, 11_000))
def test_any_damage_ends_and_members_lie_in_the_file(changes, end):
    whole = bytearray(tar(format=tarfile.PAX_FORMAT))
    for place, value in changes:
        whole[place % len(whole)] = value
    cut = bytes(whole[:end])
    for found in members(cut):
        if isinstance(found, Member):
            assert 0 <= found.offset <= found.offset + found.size <= len(cut)


def pairs(*colours: str) -> dict[str, bytes]:
    return {f"{c}{suffix}": b for c in colours for suffix, b in ((".png", png(c)), (".txt", c.encode()))}


def test_a_gzipped_shard_reads_like_its_tar(tmp_path):
    for name, mode in (("a-0.tar.gz", "w:gz"), ("b-0.tgz", "w:gz"), ("c-0.tar", "w")):
        write_tar(tmp_path / name, pairs("red", "blue"), mode=mode)
    source = WebDataset(str(tmp_path), split=None)
    assert [told(source[i]) for i in range(6)] == [["red", "<red>"], ["blue", "<blue>"]] * 3
    files = [file.plain for file in source._files[:2]]
    assert all(file.is_file() for file in files)
    del source
    assert not any(file.exists() for file in files)


@pytest.mark.parametrize("damage", ["cut", "garbled", "not gzip"])
def test_a_damaged_gzip_loses_its_tail_and_is_one_fault(tmp_path, damage):
    whole = write_tar(tmp_path / "whole.tar", pairs("red", "lime", "blue")).read_bytes()
    squeezed = bytearray(gzip.compress(whole[:1536]) + gzip.compress(whole[1536:]))
    if damage == "cut":
        squeezed = squeezed[:-60]
    elif damage == "garbled":
        squeezed[-8:-4] = b"\0\0\0\0"  # the sum over the contents
    else:
        squeezed += b"<html>"
    (tmp_path / "whole.tar").unlink()
    (tmp_path / "x.tar.gz").write_bytes(squeezed)
    source = open_data(tmp_path)
    reason = "truncated archive" if damage == "cut" else "damaged archive"
    assert [fault.reason for fault in source.faults] == [reason]
    assert told(source[0]) == ["red", "<red>"]


def test_a_gzip_bomb_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(gzip_shards, "ALWAYS_ALLOWED", 2**20)
    files = pairs("red") | {"zeros.bin": bytes(2**25)}
    write_tar(tmp_path / "x.tar.gz", files, mode="w:gz")
    source = open_data(tmp_path)
    assert source.skipped == {"archive too large": 1} and len(source) == 1
    assert source._files[0].plain.stat().st_size < 2**23


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files, which no process has tidied yet."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    gzip_shards._remove_stale.cache_clear()
    return folder


@pytest.fixture
def squeezed(tmp_path):
    """A file that unpacks to 9,000 bytes."""
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(os.urandom(9000)))
    return path


class Forked:
    """A process that unpacks a file, says so, and waits for its end."""

    def __init__(self, path):
        reading, writing = os.pipe()
        self.process = os.fork()
        if not self.process:
            gzip_shards._remove_stale.cache_clear()
            kept = gzip_shards.UnpackedFile(path)
            os.write(writing, os.fsencode(kept.plain))
            signal.pause()
        self.plain = type(path)(os.fsdecode(os.read(reading, 1000)))

    def kill(self):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def test_what_a_killed_process_unpacked_goes_with_the_next_and_a_living_ones_stays(temporary, squeezed):
    (temporary / "unitok.tar").write_bytes(b"a user's")
    living, killed = Forked(squeezed), Forked(squeezed)
    try:
        killed.kill()
        assert {living.plain, killed.plain} < set(temporary.iterdir())
        mine = gzip_shards.UnpackedFile(squeezed)
        expected = {living.plain, mine.plain, temporary / "unitok.tar"}
        assert set(temporary.iterdir()) == expected and mine.plain.stat().st_mode & 0o777 == 0o600
        assert mine.content[:] == living.plain.read_bytes() == gzip.decompress(squeezed.read_bytes())
    finally:
        living.kill()


def test_what_a_process_of_another_machine_unpacked_stays_however_old(temporary, squeezed):
    other = temporary / ".unitok.tar.00000000-1-00000000-00000000.part"
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    gzip_shards.UnpackedFile(squeezed)
    assert other.exists()


def test_a_temporary_folder_that_is_full_is_named_and_left_empty(temporary, squeezed):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large: '{squeezed}, unpacked into {temporary}'"):
            gzip_shards.UnpackedFile(squeezed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(temporary.iterdir())
