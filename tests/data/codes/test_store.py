"""A store gives back what was encoded, goes on where it stopped, and refuses what is not its own."""

import json
import os
import pickle
import random
import re
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.tiny_codecs import GridModality, byte_text, random_codes, tiny_codec
from unitok.data.codes.shards import map_shard, read_documents, to_shard, write_shard
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.source import Source
from unitok.document import Segment, same
from unitok.tokens.codec import Codec

CODEC = tiny_codec()


class Pictures(Source):
    """Texts with grids of several sizes; `calls` counts what was read, `bad` indices raise."""

    def __init__(self, count=10, *, bad=(), stop_at=None, salt=0):
        self.count, self.bad, self.stop_at, self.salt, self.calls = count, bad, stop_at, salt, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.calls += 1
        if index == self.stop_at:
            raise KeyboardInterrupt
        if index in self.bad:
            raise OSError(f"shard.tar:{index}.png: truncated")
        rng = random.Random(f"{self.salt}/{index}")
        grid = torch.tensor([[rng.randrange(7) for _ in range(1 + index % 4)] for _ in range(3)])
        return Segment("text", f"picture {index}", learn=index % 3 > 0), Segment("image", grid)


def write(path, source, codec=CODEC, **options):
    return write_store(path, source, codec, batch_size=3, shard_size=4, progress=False, **options)


def equal(a, b) -> bool:
    return len(a) == len(b) and all(same(x, y) and x.learn == y.learn for x, y in zip(a, b, strict=True))


def test_documents_come_back_in_canonical_order_with_their_lengths(tmp_path):
    source = Pictures()
    assert write(tmp_path, source) == (10, 0, 0)
    store = Store(tmp_path, CODEC)
    assert len(store) == 10
    for i in random.Random(0).sample(range(10), 10):
        codes = CODEC.encode(source[i])
        assert equal(store[i], codes)
        assert store.length(i) == len(CODEC.join(codes))
    with pytest.raises(IndexError, match="10 of a store of 10"):
        store[10]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 8), wide=st.booleans())
def test_any_documents_survive_a_shard(tmp_path_factory, seed, count, wide):
    rng, file = random.Random(seed), tmp_path_factory.getbasetemp() / "any.safetensors"
    documents = [random_codes(CODEC, rng) for _ in range(count)]
    write_shard(file, to_shard(documents, ["text", "image"], wide=wide), {})
    shard = map_shard(file)
    assert shard.codes.itemsize == (4 if wide else 2)
    found = read_documents([(shard, i) for i in range(len(documents))], ["text", "image"])
    assert all(map(equal, found, documents))


def test_large_codebooks_take_four_bytes_a_code(tmp_path):
    codec = Codec([byte_text(), GridModality(codebook=70_000, shape=(1, 1))])

    class Large(Pictures):
        def __getitem__(self, index):
            return (Segment("image", torch.tensor([[69_999 - index]])),)

    write(tmp_path, Large(2), codec)
    assert Store(tmp_path, codec)[1][0].codes.tolist() == [69_998]


def test_a_stopped_run_goes_on_and_encodes_only_what_is_missing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Pictures(stop_at=9))
    with pytest.raises(ValueError, match="unfinished; run the same encoding again"):
        Store(tmp_path, CODEC)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]
    again = Pictures()
    assert write(tmp_path, again) == (10, 2, 0)
    assert again.calls == 10  # those of kept shards are compared, the last shard's two are encoded
    assert all(equal(Store(tmp_path, CODEC)[i], CODEC.encode(again[i])) for i in range(10))


def test_a_store_travels_to_other_processes_without_its_maps(tmp_path):
    write(tmp_path, Pictures())
    store = Store(tmp_path, CODEC)
    assert equal(store[5], pickle.loads(pickle.dumps(store))[5])
    assert len(pickle.dumps(store)) < 4000


def test_faulty_documents_are_dropped_counted_and_named(tmp_path, caplog):
    assert write(tmp_path, Pictures(bad=(0, 7))) == (8, 0, 2)
    assert "skipped: document 7: unreadable: shard.tar:7.png: truncated" in caplog.text
    report = json.loads((tmp_path / "data_report.json").read_text())
    assert report["samples"] == 10 and report["whole"] == 8 and report["reasons"] == {"unreadable": 2}
    assert json.loads((tmp_path / "index.json").read_text())["dropped"] == 2
    assert write(tmp_path, Pictures(bad=(0, 7))) == (8, 3, 2)
    assert json.loads((tmp_path / "data_report.json").read_text()) == report
    assert equal(Store(tmp_path, CODEC)[0], CODEC.encode(Pictures()[1]))


def test_a_document_that_its_modality_refuses_costs_only_itself(tmp_path, caplog):
    class Foreign(Pictures):
        def __getitem__(self, index):
            return (Segment("text", "long" * (20_000 if index == 1 else 1)),)

    assert write(tmp_path, Foreign(4)) == (3, 0, 1)
    assert "skipped: document 1: cannot be encoded: a text must have at most" in caplog.text


def test_a_source_of_faults_only_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none of 3 documents could be encoded"):
        write(tmp_path, Pictures(3, bad=range(3)))


# ---- refusals


def test_another_tokenizer_is_refused_with_both_fingerprints(tmp_path):
    write(tmp_path, Pictures())
    other = Codec([byte_text(), GridModality(codebook=8)])
    with pytest.raises(
        ValueError, match=r"another image tokenizer: .* image:7:None:4, .* image:8:None:4\. Enc"
    ):
        Store(tmp_path, other)
    with pytest.raises(
        ValueError, match=r"tokenizers .*image:7.*this run.*image:8.* remove the folder or choose another"
    ):
        write(tmp_path, Pictures(), other)
    with pytest.raises(ValueError, match=r"another image tokenizer: .*missing"):
        Store(tmp_path, Codec([byte_text()]))


def test_more_modalities_and_other_positions_read_the_same_codes(tmp_path):
    write(tmp_path, Pictures())
    larger = tiny_codec(positions="sequential", more=[GridModality("depth", codebook=3)])
    assert equal(Store(tmp_path, larger)[3], Store(tmp_path, CODEC)[3])


class Mended(Pictures):
    """One document has changed."""

    def __init__(self, *, mended, **options):
        super().__init__(**options)
        self.mended = mended

    def __getitem__(self, index):
        if index == self.mended:
            return (Segment("text", "picture 00"),)
        return super().__getitem__(index)


@pytest.mark.parametrize("mended", [0, 1, 6, 9])
@pytest.mark.parametrize("bad", [(), (6,)])
def test_shards_of_documents_that_have_changed_are_encoded_again(tmp_path, caplog, mended, bad):
    write(tmp_path, Pictures(bad=bad), stamp="before")
    source = Mended(mended=mended)
    assert write(tmp_path, source, stamp="after") == (10, 1 if bad and mended != 6 else 2, 0)
    assert caplog.text.count("such shards are encoded again") == 1
    store = Store(tmp_path, CODEC)
    assert all(equal(store[i], CODEC.encode(source[i])) for i in range(10))


def test_a_set_whose_files_are_what_they_were_is_not_read_again(tmp_path):
    write(tmp_path, Pictures(), stamp="before")
    for stamp, reads in (("before", 0), ("after", 10), ("after", 0)):
        again = Pictures()
        assert write(tmp_path, again, stamp=stamp) == (10, 3, 0)
        assert again.calls == reads


def test_a_store_is_unfinished_while_its_shards_are_renewed(tmp_path):
    write(tmp_path, Pictures())
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Pictures(salt=1, stop_at=5))
    with pytest.raises(ValueError, match="unfinished; run the same encoding again"):
        Store(tmp_path, CODEC)
    assert write(tmp_path, Pictures(salt=1)) == (10, 1, 0)


def test_shards_of_another_number_of_documents_are_refused(tmp_path):
    write(tmp_path, Pictures())
    with pytest.raises(ValueError, match="documents 10, this run has 11"):
        write(tmp_path, Pictures(11))


@pytest.mark.parametrize("damage", ["missing", "short", "index", "format", "no_folder"])
def test_a_wrong_or_damaged_folder_is_named(tmp_path, damage):
    write(tmp_path, Pictures())
    file, index = tmp_path / "codes-00001.safetensors", tmp_path / "index.json"
    if damage == "missing":
        file.unlink()
    elif damage == "short":
        file.write_bytes(file.read_bytes()[:-5])
    elif damage == "index":
        index.write_text("{]")
    elif damage == "format":
        index.write_text(json.dumps({"format": 99, "modalities": {}}))
    named = {
        "missing": "codes-00001.safetensors: shard not found",
        "short": r"codes-00001.safetensors: \d+ bytes, \d+ in the index",
        "index": "index.json: not readable as JSON",
        "format": "format must be 1, got 99",
        "no_folder": "not a store of codes",
    }[damage]
    with pytest.raises((ValueError, FileNotFoundError), match=named):
        Store(tmp_path / "elsewhere" if damage == "no_folder" else tmp_path, CODEC)


def test_a_damaged_shard_is_not_kept(tmp_path):
    write(tmp_path, Pictures())
    (tmp_path / "codes-00000.safetensors").write_bytes(b"nonsense")
    with pytest.raises(
        ValueError, match=r"codes-00000.safetensors: corrupt or not safetensors .* remove the file"
    ):
        write(tmp_path, Pictures())


FOREIGN_SHARDS = {
    "an array of another type": lambda a: a | {"offsets": a["offsets"].astype(np.int32)},
    "codes that are no whole numbers": lambda a: a | {"codes": a["codes"].astype(np.float32)},
    "an array is missing": lambda a: {name: array for name, array in a.items() if name != "segments"},
    "an array of more sides": lambda a: a | {"documents": a["documents"][:, None].copy()},
    "segments without learn": lambda a: a | {"segments": a["segments"][:, :1].copy()},
    "no document begins": lambda a: a | {"documents": a["documents"][:0]},
    "documents end too late": lambda a: a | {"documents": a["documents"] + 1},
    "segments run backwards": lambda a: a | {"offsets": a["offsets"][::-1].copy()},
    "an offset too few": lambda a: a | {"offsets": a["offsets"][[0, *range(2, len(a["offsets"]))]]},
    "another modality": lambda a: a | {"segments": a["segments"] + 9},
    "a modality below the first": lambda a: a | {"segments": a["segments"] - 9},
    "a document too few": lambda a: a | {"documents": a["documents"][[0, *range(2, len(a["documents"]))]]},
}


@pytest.mark.parametrize("change", FOREIGN_SHARDS.values(), ids=FOREIGN_SHARDS)
def test_a_shard_that_holds_something_else_is_named(tmp_path, change):
    write(tmp_path / "s", Pictures())
    file = tmp_path / "s/codes-00000.safetensors"
    arrays = {name: np.array(array) for name, array in map_shard(file)._asdict().items()}
    save_file(change(arrays), file)
    index = json.loads((tmp_path / "s/index.json").read_text())
    index["shards"][0]["bytes"] = file.stat().st_size
    (tmp_path / "s/index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=re.escape(str(file))):
        Store(tmp_path / "s", CODEC).fetch([0, 1])


@pytest.mark.parametrize("held", ["notes.txt", "index.json", "train/0.png", "data.safetensors"])
def test_a_folder_of_something_else_is_refused_and_stays(tmp_path, held):
    (tmp_path / held).parent.mkdir(exist_ok=True)
    (tmp_path / held).write_text("{}")
    with pytest.raises(FileExistsError, match="is not a store of codes"):
        write(tmp_path, Pictures())
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / held]


@pytest.mark.parametrize(
    "left", ["tokenizer.json", "data_report.json", "codes-00000.safetensors", "notes.txt"]
)
def test_a_store_that_was_begun_is_gone_on_with_and_a_users_file_in_it_stays(tmp_path, left):
    write(tmp_path / "whole", Pictures())
    (tmp_path / "begun").mkdir()
    if left == "notes.txt":
        shutil.copytree(tmp_path / "whole", tmp_path / "begun", dirs_exist_ok=True)
        (tmp_path / "begun/notes.txt").write_text("mine")
    elif left == "tokenizer.json":
        (tmp_path / "begun" / left).write_text("{}")
    else:
        shutil.copyfile(tmp_path / "whole" / left, tmp_path / "begun" / left)
    assert write(tmp_path / "begun", Pictures()).documents == 10
    assert (tmp_path / "begun" / left).is_file()
