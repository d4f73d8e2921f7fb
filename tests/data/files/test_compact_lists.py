"""Compact lists are lists: what goes in comes out; and a million samples fit into little memory."""

import gc
import json
import pickle
import random
import re
import tarfile
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import cases
from tests.data.batches.test_packed_documents import CODEC, Numbered
from tests.data.samples import png, told, write_lines, write_tar
from unitok.data.batches.batch_sampler import DocumentBatchSampler
from unitok.data.batches.packed_documents import PackedDocuments
from unitok.data.codes.shards import to_shard, write_shard
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.files.compact_lists import Names, Sample, Samples, Values
from unitok.data.files.tar import Member
from unitok.data.readers.coco import CocoCaptions
from unitok.data.readers.folders import PictureFolder, TextPairs
from unitok.data.readers.question_shards import QuestionShards
from unitok.data.readers.tables import TextTable
from unitok.data.readers.webdataset import WebDataset
from unitok.document import Codes

NAME = st.text(st.characters(exclude_categories=[]), max_size=12)
MEMBER = st.builds(Member, NAME, st.integers(0, 2**62), st.integers(0, 2**62))
SAMPLE = st.builds(Sample, st.integers(0, 2**31), MEMBER, MEMBER, st.none() | MEMBER)


@given(st.lists(NAME))
def test_names_come_back(names):
    compact = pickle.loads(pickle.dumps(Names(names)))
    assert list(compact) == names and [compact[-1]] == names[-1:] if names else len(compact) == 0
    with pytest.raises(IndexError):
        compact[len(names)]


@given(st.lists(SAMPLE))
def test_samples_come_back(samples):
    compact = pickle.loads(pickle.dumps(Samples(samples)))
    assert list(compact) == samples and len(compact) == len(samples)
    with pytest.raises(IndexError):
        compact[-len(samples) - 1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAME,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(JSON))
def test_values_come_back(values):
    compact = pickle.loads(pickle.dumps(Values(values)))
    assert list(compact) == values and len(compact) == len(values)
    with pytest.raises(IndexError):
        compact[len(values)]


def held(make) -> tuple[object, int]:
    """What is made, and the bytes of Python's memory that it holds."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = make()
        return made, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def write_tars(folder, count: int, *, shard: int = 10_000) -> None:
    """Captioned images of one pixel, in shards."""
    image, caption = png(size=(1, 1)), b"a"
    blocks = [content + bytes(-len(content) % 512) for content in (image, caption)]
    for start in range(0, count, shard):
        with (folder / f"train-{start // shard:06d}.tar").open("wb") as file:
            for number in range(start, min(start + shard, count)):
                for suffix, content, block in zip((".png", ".txt"), (image, caption), blocks, strict=True):
                    member = tarfile.TarInfo(f"{number:09d}{suffix}")
                    member.size = len(content)
                    file.write(member.tobuf(tarfile.USTAR_FORMAT) + block)
            file.write(bytes(1024))


@cases(2_000, 10_000)
def test_a_sample_takes_a_hundred_bytes(count):
    def some():
        for number in range(count):
            place, key = number * 2048, f"{number:09d}"
            yield Sample(0, Member(f"{key}.png", place, 999), Member(f"{key}.txt", place, 9), None)

    assert held(lambda: Samples(some()))[1] < 130 * count


@cases(10_000, 20_000)
def test_a_line_of_json_takes_sixteen_bytes(tmp_path, count):
    file = write_lines(tmp_path / "t.jsonl", ({"text": f"text {i}"} for i in range(count)))
    source, size = held(lambda: TextTable(str(file)))
    assert told(source[count - 1]) == [f"text {count - 1}"] and size < 24 * count


@cases(4_000, 20_000)
def test_an_element_of_a_json_list_takes_its_text(tmp_path, count):
    file = tmp_path / "t.json"
    file.write_text(json.dumps([{"text": f"text {i}"} for i in range(count)]))
    source, size = held(lambda: TextTable(str(file)))
    assert told(source[count - 1]) == [f"text {count - 1}"] and size < 48 * count


@cases(500, 2_000)
def test_a_caption_of_coco_takes_its_text_and_its_pictures_name(tmp_path, count):
    said = "a bicycle with a clock as its front wheel"
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "license": 3, "width": 640} for i in range(count)]
    notes = [{"id": 7 * i, "image_id": i, "caption": said} for i in range(count)]
    file = tmp_path / "captions.json"
    file.write_text(json.dumps({"images": images, "annotations": notes}))
    (tmp_path / f"{count - 1:012d}.jpg").write_bytes(png())
    source, size = held(lambda: CocoCaptions(str(file)))
    print(f"a caption of COCO: {size / count:.0f} bytes")
    assert source[count - 1][0].content == said and size < 150 * count


@cases(2_000, 10_000)
def test_a_question_of_shards_takes_three_numbers(tmp_path, count):
    questions = [["what is it?", str(i)] for i in range(count)]
    files = {"a.png": png(), "a.txt": b"a", "a.json": json.dumps({"qa": questions}).encode()}
    write_tar(tmp_path / "train-0.tar", files)
    for turns in (1, 4):
        QuestionShards(str(tmp_path), turns=turns)  # imports, and what is made once
        source, size = held(lambda turns=turns: QuestionShards(str(tmp_path), turns=turns))
        assert len(source) == count / turns and size < 40 * count
        assert len(source[-1]) == 1 + 2 * turns


def anonymous() -> int:
    """Bytes of memory of this process that are no mapped file."""
    gc.collect()
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("resident memory is read from /proc")
    return int(re.search(r"RssAnon:\s+(\d+)", status.read_text())[1]) * 1024


@pytest.mark.slow
@pytest.mark.parametrize("count", [100_000, 10**6])
def test_resident_memory_is_bounded_by_the_samples(tmp_path, count):
    write_tars(tmp_path, count)
    before = anonymous()
    source = WebDataset(str(tmp_path))
    opened = anonymous() - before
    print(f"{count} samples: {opened / count:.0f} bytes each")
    assert len(source) == count and opened < 150 * count + 2**25
    for index in random.Random(0).sample(range(count), 20_000):
        assert source[index][0].content == "a"
    assert anonymous() - before - opened < 2**23


@pytest.mark.slow
def test_a_store_of_a_million_documents_is_mapped(tmp_path):
    codes = [Codes("text", torch.arange(5), (5,)), Codes("image", torch.arange(4), (2, 2))]
    write_store(tmp_path, Numbered(1), CODEC, progress=False)
    arrays = to_shard([codes] * 50_000, list(CODEC.modalities), wide=False)
    index = json.loads((tmp_path / "index.json").read_text())
    write_shard(tmp_path / "codes-00000.safetensors", arrays, {})
    for number in range(1, 20):
        (tmp_path / f"codes-{number:05d}.safetensors").hardlink_to(tmp_path / "codes-00000.safetensors")
    size = (tmp_path / "codes-00000.safetensors").stat().st_size
    index["shards"] = [
        {"file": f"codes-{number:05d}.safetensors", "bytes": size, "documents": 50_000, "codes": 450_000}
        for number in range(20)
    ]
    (tmp_path / "index.json").write_text(json.dumps(index))
    before = anonymous()
    packed = PackedDocuments(Store(tmp_path, CODEC), CODEC, row_length=40)
    sampler = DocumentBatchSampler(len(packed), 64, seed=0)
    packed[sampler.batch(0)]
    opened = anonymous()
    print(f"a store: {(opened - before) / 10**6:.0f} bytes a document")
    assert len(packed) == 10**6 and opened - before < 64 * 10**6
    for number in range(1, 2000):
        packed[sampler.batch(number)]
    assert anonymous() - opened < 2**22


def test_a_file_of_a_folder_takes_its_name(tmp_path):
    for number in range(1000):
        (tmp_path / f"{number:06d}.png").write_bytes(b"")
        (tmp_path / f"{number:06d}.txt").write_bytes(b"")
    for kind in (PictureFolder, TextPairs):
        kind(str(tmp_path))  # imports, and what is made once
        source, size = held(lambda kind=kind: kind(str(tmp_path)))
        assert len(source) == 1000 and size < 80 * 1000
