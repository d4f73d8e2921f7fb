"""Data are read, never run: no pickle, no command, no file outside their folder, no bomb."""

import json
import os
import pickle
import struct
import zipfile
import zlib
from io import BytesIO

import pytest
import yaml
from jsonargparse import ArgumentParser

from tests.data.batches.test_packed_documents import CODEC, Numbered
from tests.data.samples import png, told, write_images, write_lines, write_tar
from train.encode import main
from unitok.data.codes.shards import map_shard
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData
from unitok.data.faults import Fault
from unitok.data.readers.tables import CaptionTable, MetadataFolder
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import read
from unitok.data.sources import open_data
from unitok.training.open_source import open_source


class Trap:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path / "owned"),)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.rglob("*owned*"))


def test_pickles_are_never_opened(tmp_path):
    trap = pickle.dumps(Trap(tmp_path))
    with pytest.raises(FileExistsError):  # the trap works
        (tmp_path / "owned").mkdir()
        pickle.loads(trap)
    (tmp_path / "owned").rmdir()
    files = {f"a.{suffix}": trap for suffix in ("pkl", "pickle", "pyd", "pth", "npy", "json", "cls", "ten")}
    write_tar(
        tmp_path / "train-0.tar", {"a.png": png(), "a.txt": b"a", **files, "b.png": trap, "b.txt": trap}
    )
    source = WebDataset(str(tmp_path))
    assert told(source[0]) == ["a", "<red>"] and read(source, 1).reason in ("not UTF-8", "not a picture")
    write_tar(tmp_path / "pick-0.tar", {"a.png": png(), "a.txt": b"a", **files})
    with pytest.raises(ValueError, match="damaged metadata"):
        WebDataset(str(tmp_path), "pick", where={"a": 1})


@pytest.mark.parametrize(
    "path",
    [
        "pipe:mkdir owned",
        "pipe:mkdir owned #.tar",
        "pipe://mkdir owned",
        "file:///etc",
        "zip://a::s3://b/owned.zip",
        "memory:owned",
    ],
)
def test_commands_and_foreign_urls_are_refused(path, monkeypatch, tmp_path):
    monkeypatch.setenv("UNITOK_CACHE", str(tmp_path / "cache"))
    for opened in (
        open_data,
        WebDataset,
        CaptionTable,
        MetadataFolder,
        lambda p: Store(p, CODEC),
        open_source,
    ):
        with pytest.raises(ValueError, match="commands are never run"):
            opened(path)


ELSEWHERE = (
    "../secret.png", "deep/../../secret.png", "..\\secret.png", "/{outside}/secret.png", "C:\\secret.png",
    "pipe:mkdir owned", "file:///{outside}/secret.png", "https://localhost/a.png",
    "a\0.png", "", None, 7, ["red.png"],
)  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_records_name_no_file_outside_their_folder(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(png("blue"))
    folder = tmp_path / "set"
    write_images(folder, "red")
    (folder / "deep").mkdir()
    name = name.format(outside=tmp_path) if isinstance(name, str) else name
    turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "a"}]
    said = [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": "a"}]
    part = [{"role": "user", "content": [{"type": "image", "path": name}]}, said[1]]
    records = {
        "table": {"image": name, "text": "a"},
        "obelics": {"texts": [None, "a"], "images": [name, None]},
        "mmc4": {"text_list": ["a"], "image_info": [{"image_name": name, "matched_text_index": 0}]},
        "llava": {"image": [name], "conversations": turns},
        "messages": {"images": [name], "messages": said},
    }
    files = {format: write_lines(folder / f"{format}.jsonl", [record]) for format, record in records.items()}
    files["messages, inside"] = write_lines(folder / "inside.jsonl", [{"messages": part}])
    files["imagefolder"] = write_lines(folder / "metadata.jsonl", [{"file_name": name, "text": "a"}])
    for format, file in files.items():
        path = folder if format == "imagefolder" else file
        found = read(open_data(path, format=format.split(",")[0]), 0)
        if name == ["red.png"] and format in (
            "table",
            "imagefolder",
        ):  # the one image of a list lies in the folder
            assert told(found) == ["a", "<red>"]
            continue
        nothing = name in (None, "") and format in ("obelics", "messages, inside")
        if nothing:  # no image is asked for
            assert format != "obelics" or told(found) == ["a"]
            continue
        assert isinstance(found, Fault), (format, name)
        unnamed = ("parts do not match",) if name in (None, "") else ()  # the mark <image> stands for none
        refused = ("path outside the folder", "url, not a file", "no picture", "missing file", *unnamed)
        assert found.reason in refused
    annotations = [{"image_id": 1, "caption": "a"}]
    (folder / "c.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": name}], "annotations": annotations})
    )
    assert isinstance(read(open_data(folder / "c.json"), 0), Fault)


def test_rows_of_csv_name_no_file_outside_their_folder(tmp_path):
    (tmp_path / "secret.png").write_bytes(png("blue"))
    folder = tmp_path / "set"
    write_images(folder, "red")
    names = [*(n.format(outside=tmp_path) for n in ELSEWHERE if isinstance(n, str)), str(folder / "red.png")]
    (folder / "list.csv").write_text("filepath,title\n" + "".join(f"{name},a\n" for name in names))
    source = open_data(folder / "list.csv")
    found = [read(source, i) for i in range(len(source))]
    assert all(isinstance(one, Fault) for one in found[:-1]) and told(found[-1]) == ["a", "<red>"]


def test_files_of_a_saved_set_are_in_its_folder(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    (tmp_path / "set").mkdir()
    table = pyarrow.Table.from_pylist([{"text": "secret"}])
    with (
        pyarrow.OSFile(str(tmp_path / "secret.arrow"), "wb") as sink,
        pyarrow.ipc.new_stream(sink, table.schema) as w,
    ):
        w.write_table(table)
    (tmp_path / "set/state.json").write_text(json.dumps({"_data_files": [{"filename": "../secret.arrow"}]}))
    with pytest.raises(FileNotFoundError):
        open_data(tmp_path / "set", format="texts")


def test_names_in_a_tar_write_nothing_anywhere(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    files = {
        "../../owned.png": png("red"),
        "../../owned.txt": b"up",
        "/owned.png": png("blue"),
        "/owned.txt": b"root",
    }
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz")):
        write_tar(folder / name, files, mode=mode)
    source = open_data(folder)
    assert [told(source[i]) for i in range(4)] == [["up", "<red>"], ["root", "<blue>"]] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["a.tar", "b.tar.gz"]


def test_archives_and_swollen_notes_in_pictures_are_refused(tmp_path):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**24))
    squeezed = zlib.compress(bytes(2**26))
    note = b"zTXt" + b"k\0\0" + squeezed
    image = png("red")
    swollen = (
        image[:33]
        + struct.pack(">I", len(note) - 4)
        + note
        + struct.pack(">I", zlib.crc32(note))
        + image[33:]
    )
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n(owned) (w) file\n"
    script = b"#!/bin/sh\nmkdir owned\n"
    for name, content in enumerate(
        (buffer.getvalue(), swollen, script, postscript, b"<svg onload='owned'/>")
    ):
        (tmp_path / f"{name}.png").write_bytes(content)
    source = open_data(tmp_path)
    assert all(isinstance(read(source, i), Fault) for i in range(5))


@pytest.mark.parametrize(
    "path", ["os.mkdir", "subprocess.Popen", "builtins.eval", "unitok.data.codes.store.Store"]
)
def test_class_paths_make_sources_only(tmp_path, path):
    with pytest.raises(ValueError, match="nor the class path of a Source"):
        open_source({"class_path": path, "init_args": {"path": "owned"}})
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DocumentData, "data")
    config = {"train": {"class_path": path, "init_args": {"path": "owned"}}, "val": str(tmp_path)}
    with pytest.raises(Exception, match=r"train|Source"):
        parser.parse_object({"data": config})


def test_tags_of_yaml_make_nothing(tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text("source: !!python/object/apply:os.mkdir [owned]\n")
    with pytest.raises(SystemExit):
        main(["--config", str(config)])
    assert "not readable as YAML" in capsys.readouterr().err
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(config.read_text())
    assert Store  # a store is safetensors and JSON: nothing in it could be run


@pytest.mark.parametrize(
    "name", ["../codes-00000.safetensors", "/{outside}/codes-00000.safetensors", "", ".", 7]
)
def test_an_index_names_no_shard_outside_its_folder(tmp_path, name):
    write_store(tmp_path / "store", Numbered(3), CODEC, progress=False)
    (tmp_path / "store/codes-00000.safetensors").rename(tmp_path / "codes-00000.safetensors")
    index = json.loads((tmp_path / "store/index.json").read_text())
    index["shards"][0]["file"] = name.format(outside=tmp_path) if isinstance(name, str) else name
    (tmp_path / "store/index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"shard's name must match|file must be str"):
        Store(tmp_path / "store", CODEC)


@pytest.mark.parametrize(
    "kind", ["pickle", "empty", "no header", "beyond the end", "before the beginning", "objects"]
)
def test_shards_of_a_store_are_arrays_or_refused(tmp_path, kind):
    write_store(tmp_path, Numbered(3), CODEC, progress=False)
    file = tmp_path / "codes-00000.safetensors"
    whole = file.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    if kind == "beyond the end":
        header["codes"]["data_offsets"][1] += 2**40
    elif kind == "before the beginning":
        header["codes"]["data_offsets"][0] = -8
    else:
        header["codes"]["dtype"] = "O"
    changed = json.dumps(header).encode()
    content = {
        "pickle": pickle.dumps(Trap(tmp_path)), "empty": b"", "no header": whole[: 8 + size // 2],
    }.get(kind, len(changed).to_bytes(8, "little") + changed + whole[8 + size :])  # fmt: skip
    file.write_bytes(content)
    with pytest.raises(ValueError, match="corrupt or not safetensors"):
        map_shard(file)
