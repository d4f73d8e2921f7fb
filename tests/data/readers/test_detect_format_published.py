"""The readers on real samples, where the published sets lie beside the repository."""

import gzip
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.data.samples import SHARED, told
from unitok.data.readers.mnist_idx import Idx
from unitok.data.readers.plain_text import PlainText
from unitok.data.readers.tables import TextTable
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import SplitOf
from unitok.data.sources import open_data


def published(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"the data set {name} is not beside the repository")
    return SHARED / name


@pytest.mark.parametrize(
    ("name", "part", "count"), [("emoji", "val", 188), ("easy_vqa", "val", 431), ("captions", None, 87)]
)
def test_shards(name, part, count):
    source = open_data(published(name), split=part)
    assert isinstance(source, WebDataset) and len(source) == count and not source.faults
    for index in (0, count - 1):
        text, image = source[index]
        record = source.metadata(index)
        assert (
            text.content == record.get("caption", record.get("captions", [""])[0])
            and image.content.mode == "RGB"
        )


def test_a_gzipped_shard_holds_the_same(tmp_path):
    shard = published("captions") / "dev-000000.tar"
    with (
        shard.open("rb") as whole,
        gzip.open(tmp_path / "dev-000000.tar.gz", "wb", compresslevel=1) as packed,
    ):
        shutil.copyfileobj(whole, packed)
    plain, unpacked = open_data(shard), open_data(tmp_path)
    assert len(plain) == len(unpacked) == 87 and not unpacked.faults
    for index in (0, 40, 86):
        assert plain[index][0] == unpacked[index][0]
        assert plain[index][1].content.tobytes() == unpacked[index][1].content.tobytes()


def test_coco_json(tmp_path):
    folder = published("captions")
    with tarfile.open(folder / "dev-000000.tar") as archive:
        archive.extractall(tmp_path / "images", filter="data")
    shutil.copy(folder / "captions_dev.json", tmp_path)
    content = json.loads((folder / "captions_dev.json").read_text())
    source = open_data(tmp_path / "captions_dev.json")
    assert len(source) == len(content["annotations"]) == 435 and source.format == "coco"
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for index in range(0, 435, 50):
        text, image = source[index]
        annotation = content["annotations"][index]
        assert text.content == annotation["caption"].strip()
        assert (tmp_path / "images" / names[annotation["image_id"]]).is_file() and image.content.width <= 320


def test_mnist():
    folder = published("mnist")
    test, train = open_data(folder, split="test"), open_data(folder, split="train")
    assert isinstance(test, Idx) and (len(test), len(train)) == (10_000, 57_000)
    whole = open_data(folder)
    assert [whole[i][0].content for i in range(5)] == list("50419")
    image = whole[0][1].content
    assert image.size == (28, 28) and image.getpixel((12, 6))[0] > 0 and image.getpixel((0, 0)) == (0, 0, 0)


def test_plain_text():
    folder = published("text")
    source = open_data(folder / "tinyshakespeare.txt")
    assert isinstance(source, PlainText) and len(source) == 7222
    assert told(source[0]) == ["First Citizen:\nBefore we proceed any further, hear me speak."]


def test_captions_in_json_lines():
    source = open_data(published("text") / "coco_val2017_captions.jsonl")
    assert isinstance(source, TextTable) and len(source) == 24_754
    assert told(source[0]) == ["A woman stands in the dining area at the table."]
    assert isinstance(open_data(source.records.path, split="val"), SplitOf)


def test_photographs():
    folder = published("photos")
    source = open_data(folder)
    assert source.format == "pictures" and len(source) == 12
    assert all(min(document[0].content.size) == 256 for document in source)


def test_questions_that_are_no_captions_are_not_taken_for_some():
    folder = published("refs") / "refcocos"
    with pytest.raises(ValueError, match="no known format"):
        open_data(folder)
