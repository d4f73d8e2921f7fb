"""What lies at a URL is fetched once, complete or not at all, and read as local files are."""

import json
from pathlib import Path

import fsspec
import pytest

from tests.data.batches.test_packed_documents import CODEC, Numbered
from tests.data.coded import coded
from tests.data.samples import all_told, png, told, write_lines, write_tar
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.files.remote import cache_folder, is_url, local_path
from unitok.data.readers.tables import CaptionTable
from unitok.data.readers.webdataset import WebDataset
from unitok.data.sources import open_data
from unitok.training.open_source import open_source


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """fsspec's file system in memory, empty; what is fetched from it is kept in tmp_path/cache."""
    monkeypatch.setenv("UNITOK_CACHE", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


@pytest.fixture
def reads(memory, monkeypatch):
    """Names of the files that are opened there."""
    opened, original = [], type(memory).open

    def noted(self, path, mode="rb", *args, **options):
        opened.extend([path.rpartition("/")[2]] * (mode == "rb"))
        return original(self, path, mode, *args, **options)

    monkeypatch.setattr(type(memory), "open", noted)
    return opened


def shard(folder: Path, *colours: str) -> bytes:
    files = {f"{c}{s}": b for c in colours for s, b in ((".png", png(c)), (".txt", c.encode()))}
    return write_tar(folder / "made.tar", files).read_bytes()


def test_tars_are_fetched_once_and_read_in_place(memory, reads, tmp_path):
    memory.pipe({"/set/train-0.tar": shard(tmp_path, "red"), "/set/val-0.tar": shard(tmp_path, "blue")})
    for _ in range(2):
        assert all_told(open_data("memory://set", split="train")) == [["red", "<red>"]]
        assert all_told(WebDataset("memory://set", "val")) == [["blue", "<blue>"]]
        assert all_told(open_data("memory://set/val-0.tar")) == [["blue", "<blue>"]]
        assert open_source("memory://set").format == "webdataset"
    assert sorted(reads) == [
        "train-0.tar",
        "val-0.tar",
        "val-0.tar",
    ]  # the folder, and the one file's own URL


def test_files_that_changed_are_fetched_again_and_those_that_went_go(memory, reads, tmp_path):
    memory.pipe({f"/set/{name}.tar": shard(tmp_path, name) for name in ("red", "blue")})
    assert all_told(open_data("memory://set")) == [["blue", "<blue>"], ["red", "<red>"]]
    memory.pipe("/set/red.tar", shard(tmp_path, "lime"))
    memory.rm("/set/blue.tar")
    assert all_told(open_data("memory://set")) == [["lime", "<lime>"]]
    assert reads == ["blue.tar", "red.tar", "red.tar"]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_tables_and_the_pictures_beside_them(memory, tmp_path, suffix):
    rows = [{"file_name": "deep/red.png", "text": "a"}]
    file = tmp_path / f"table.{suffix}"
    if suffix == "jsonl":
        write_lines(file, rows)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = [{"image": {"bytes": png("red"), "path": None}, "text": "a"}]
        parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    memory.pipe({f"/set/{file.name}": file.read_bytes(), "/set/deep/red.png": png("red")})
    assert all_told(open_data("memory://set")) == [["a", "<red>"]]
    if suffix == "parquet":
        assert told(CaptionTable("memory://set/table.parquet")[0]) == ["a", "<red>"]


def test_a_store_is_mapped_from_its_copy(memory, reads, tmp_path):
    write_store(tmp_path / "store", Numbered(22), CODEC, progress=False, shard_size=5)
    memory.put(str(tmp_path / "store"), "/codes", recursive=True)
    stored, there = Store(tmp_path / "store", CODEC), Store("memory://codes", CODEC)
    assert len(there) == 22 and list(there.lengths) == list(stored.lengths)
    assert all(a[1].codes.equal(b[1].codes) for a, b in zip(stored, there, strict=True))
    reads.clear()
    data = coded(CODEC, train="memory://codes", val="memory://codes", row_length=40)
    data.setup("fit")
    assert sum(int(batch.document.amax(1).add(1).sum()) for batch in data.train_dataloader()) == 22
    assert not reads and data._text_tokenizer().is_relative_to(cache_folder())


def test_what_breaks_off_leaves_nothing_and_is_fetched_again(memory, tmp_path, monkeypatch):
    memory.pipe({"/set/a.tar": shard(tmp_path, "red"), "/set/b.tar": shard(tmp_path, "blue")})
    original = type(memory).open

    class Short:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read(self, size):
            return self.file.read(700) if self.file.tell() == 0 else b""

    def broken(self, path, *args, **options):
        file = original(self, path, *args, **options)
        return Short(file) if path.endswith("b.tar") else file

    monkeypatch.setattr(type(memory), "open", broken)
    with pytest.raises(OSError, match=r"b\.tar has \d+ bytes, received 700"):
        open_data("memory://set")
    files = [path.name for path in (tmp_path / "cache").rglob("*.tar*")]
    assert files == ["a.tar"]
    monkeypatch.setattr(type(memory), "open", original)
    assert len(open_data("memory://set")) == 2


def test_names_that_lead_elsewhere_are_refused(memory, tmp_path, monkeypatch):
    for name in ("../owned.tar", "/../../owned.tar", "a/../../owned.tar", "..\\owned.tar"):
        entry = {"name": f"/set/{name}", "size": 1, "type": "file"}
        monkeypatch.setattr(type(memory), "info", lambda self, path: {"type": "directory"})
        monkeypatch.setattr(type(memory), "find", lambda self, path, e=entry, **_: {e["name"]: e})
        with pytest.raises(ValueError, match="would be outside"):
            local_path("memory://set")
    assert not list(tmp_path.rglob("*owned*"))


def test_what_is_not_there_or_needs_a_package_is_said(memory, monkeypatch):
    with pytest.raises(FileNotFoundError):
        open_data("memory://nothing")

    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ValueError, match="s3 needs an additional package: Install s3fs"):
        open_data("s3://bucket/set")


def test_paths_are_no_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd:name.txt").write_text("text")
    assert not is_url("odd:name.txt") and not is_url("C:\\data") and not is_url("data/a") and is_url("odd:x")
    assert local_path("data/a") == Path("data/a") and open_data("odd:name.txt").format == "text"


def test_pages_of_http_are_no_folders(memory, monkeypatch):
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (memory, "/set"))
    memory.pipe("/set/a.tar", json.dumps({}).encode())
    with pytest.raises(ValueError, match="http has no folders"):
        local_path("https://localhost/set")
