"""A stream of HF datasets is encoded in order, goes on where it stopped, and is no set to train on."""

import json
import pickle

import pytest

from tests.data.samples import all_told, png, told, write_lines
from tests.tiny_codecs import tiny_codec
from unitok.data.batches.batch_sampler import DocumentBatchSampler
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.readers.hf_stream import Streamed, StreamedRows, StreamError
from unitok.data.source import Source
from unitok.data.sources import open_data
from unitok.training.open_source import open_source

datasets = pytest.importorskip("datasets")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
CODEC = tiny_codec()


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for part in range(3):
        write_lines(folder / f"train-{part}.jsonl", ({"text": f"text {10 * part + i}"} for i in range(10)))
    return folder


def said(source: Source) -> list[str]:
    return [source[index][0].content for index in range(len(source))]


ALL = [f"text {i}" for i in range(30)]


def test_lines_of_json_are_streamed_in_order(texts):
    assert said(Streamed(str(texts))) == ALL
    assert said(Streamed(str(texts), count=12)) == ALL[:12]
    again = pickle.loads(
        pickle.dumps(open_source("unitok.data.readers.hf_stream.Streamed", settings={"path": str(texts)}))
    )
    assert again[29][0].content == "text 29" and again[7][0].content == "text 7"


def test_pictures_of_parquet_are_bytes_and_documents_equal_those_of_the_file(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    kind = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {"image": [{"bytes": png(c), "path": None} for c in ("red", "lime")], "text": ["a", "b"]}
    datasets.Dataset.from_dict(rows, features=kind).to_parquet(folder / "train.parquet")
    source = Streamed(str(folder))
    assert source.source.format == "table"
    assert all_told(source) == all_told(open_data(folder)) == [["a", "<red>"], ["b", "<lime>"]]


def test_pages_and_settings(tmp_path):
    (tmp_path / "set").mkdir()
    write_lines(
        tmp_path / "set/train.jsonl", [{"texts": ["one", "two"], "images": [None, None], "note": "x"}]
    )
    assert told(Streamed(str(tmp_path / "set"))[0]) == ["one", "two"]
    assert told(Streamed(str(tmp_path / "set"), format="texts", text_column="note")[0]) == ["x"]
    with pytest.raises(ValueError, match="no known format among llava"):
        Streamed(str(tmp_path / "set"), format="idx")


def test_encoding_goes_on_after_the_last_whole_file(texts, tmp_path, monkeypatch):
    original = StreamedRows.__getitem__

    def breaks(self, index):
        if index == 17:
            raise StreamError("broke off")
        return original(self, index)

    monkeypatch.setattr(StreamedRows, "__getitem__", breaks)
    options = {"progress": False, "shard_size": 8, "batch_size": 4, "stamp": "unchanged"}
    with pytest.raises(StreamError, match="broke off"):
        write_store(tmp_path / "codes", Streamed(str(texts)), CODEC, **options)
    read = []
    monkeypatch.setattr(StreamedRows, "__getitem__", lambda self, i: read.append(i) or original(self, i))
    assert write_store(tmp_path / "codes", Streamed(str(texts)), CODEC, **options).kept == 2
    assert not [i for i in read if 0 < i < 16]
    store = Store(tmp_path / "codes", CODEC)
    assert [CODEC.decode(store[i])[0].content for i in range(len(store))] == ALL


def test_training_in_another_order_is_refused(texts):
    packed = PackedDocuments(EncodedSource(Streamed(str(texts)), CODEC), CODEC, row_length=40)
    with pytest.raises(StreamError, match=r"read in order; encode it first, by unitok encode"):
        [packed[window] for window in DocumentBatchSampler(30, 4, seed=0)]


def test_a_damaged_row_is_a_fault_and_a_damaged_file_ends_the_run(texts):
    with (texts / "train-1.jsonl").open("a") as file:
        file.write(json.dumps({"text": None}) + "\n")
    source = Streamed(str(texts), count=31)
    with pytest.raises(ValueError, match="no caption"):
        source[20]
    assert source[21][0].content == "text 20"
    (texts / "train-2.jsonl").write_text("{nothing")
    with pytest.raises(StreamError, match="broke off before row"):
        said(Streamed(str(texts), count=20)) and Streamed(str(texts), count=31)[30]


def test_a_stream_that_ends_early_and_a_set_that_is_not_there(texts, tmp_path):
    with pytest.raises(StreamError, match="ended before row 30 of 40"):
        Streamed(str(texts), count=40)[30]
    with pytest.raises(ValueError, match="not found"):
        Streamed(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="not found"):
        Streamed(str(texts), split="test")
