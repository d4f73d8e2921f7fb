"""What the cells of tables mean: classes by their names, lists of one image, values that are missing."""

import base64
import csv
import json
import logging

import pytest

from tests.data.samples import all_told, png, told, write_images, write_lines
from unitok.data.faults import Fault
from unitok.data.readers.hf_stream import Streamed
from unitok.data.source import read, warn_once
from unitok.data.sources import open_data


@pytest.fixture(autouse=True)
def _said_anew():
    warn_once.cache_clear()


def reasons(source) -> list[str]:
    found = [read(source, index) for index in range(len(source))]
    return [one.reason if isinstance(one, Fault) else told(one)[0] for one in found]


def image(colour: str = "red") -> dict:
    return {"bytes": png(colour), "path": None}


def write_parquet(path, rows, **features):
    """Rows, with HF's description of some columns."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(rows)
    if features:
        described = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": described})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
    return path


def classes(*names: str) -> dict:
    return {"names": list(names), "_type": "ClassLabel"}


# ---- classes


def test_classes_are_learned_by_their_names(tmp_path, caplog):
    rows = [{"image": image(), "label": number} for number in (1, 0, -1, None, 2, -2)]
    source = open_data(write_parquet(tmp_path / "a.parquet", rows, label=classes("fire_truck", "bus")))
    lost = ["no caption", "no caption", "parts do not match", "parts do not match"]
    assert reasons(source) == ["bus", "fire truck", *lost]
    assert not caplog.records


@pytest.mark.parametrize("kind", ["Sequence", "List", None])
def test_classes_may_stand_in_a_list_or_be_fractions(tmp_path, kind):
    listed = [classes("cat")] if kind is None else {"feature": classes("cat"), "_type": kind}
    rows = [{"image": image(), "label": [0]}]
    assert reasons(open_data(write_parquet(tmp_path / "a.parquet", rows, label=listed))) == ["cat"]
    rows = [{"image": image(), "label": value} for value in (0.0, float("nan"), 0.5)]
    source = open_data(write_parquet(tmp_path / "b.parquet", rows, label=classes("cat")))
    assert reasons(source) == ["cat", "no caption", "0.5"]


def test_classes_of_a_saved_set_and_of_a_stream(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "a_dog"])}
    )
    rows = {"image": [image(), image("blue")], "label": [1, 0]}
    made = datasets.Dataset.from_dict(rows, features=features)
    expected = [["a dog", "<red>"], ["cat", "<blue>"]]
    made.save_to_disk(tmp_path / "saved")
    assert all_told(open_data(tmp_path / "saved")) == expected
    (tmp_path / "saved/dataset_info.json").write_text("{}")  # the schema of the Arrow file has them too
    assert all_told(open_data(tmp_path / "saved")) == expected
    (tmp_path / "set").mkdir()
    made.to_parquet(tmp_path / "set/train.parquet")
    assert all_told(open_data(tmp_path / "set")) == expected
    assert all_told(Streamed(str(tmp_path / "set"))) == expected


def test_files_that_number_their_classes_differently_are_not_read_as_one(tmp_path):
    for name, names in (("a", ("cat", "dog")), ("b", ("dog", "cat"))):
        write_parquet(tmp_path / f"{name}.parquet", [{"image": image(), "label": 0}], label=classes(*names))
    with pytest.raises(
        ValueError, match=r"b\.parquet: classes of the column 'label' must be .*, got \['dog'"
    ):
        open_data(tmp_path)


@pytest.mark.parametrize(
    "described", [b"", b"{", b"[]", b'{"info": {"features": {"label": {"names": 3}}}}', b"[" * 9999]
)
def test_captions_without_names_are_said_to_be_numbers_once(tmp_path, caplog, described):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist([{"image": image(), "label": number} for number in (None, 3)])
    parquet.write_table(table.replace_schema_metadata({"huggingface": described}), tmp_path / "a.parquet")
    for part in ("train", "val", None):
        source = open_data(tmp_path / "a.parquet", split=part)
    assert reasons(source) == ["no caption", "3"]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'a.parquet'}: the captions in 'label' are numbers, such as 3, and the file has no "
        "names for them: they are learned as digits"
    ]  # fmt: skip


def test_words_are_not_said_to_be_numbers(tmp_path, caplog):
    write_images(tmp_path, "red")
    (tmp_path / "a.csv").write_text("image,text\nred.png,7\nred.png,seven\n")
    open_data(tmp_path / "a.csv")
    assert not caplog.records
    (tmp_path / "b.csv").write_text("image,label\nred.png,7\nred.png,-1.5\n")
    open_data(tmp_path / "b.csv")
    assert "are numbers, such as 7" in caplog.text


# ---- images


def test_a_list_of_one_image_is_that_image(tmp_path):
    rows = [
        {"images": [image(colour) for colour in colours], "caption": "one"}
        for colours in (["red"], ["red", "blue"], [])
    ]
    source = open_data(write_parquet(tmp_path / "a.parquet", rows))
    assert told(source[0]) == ["one", "<red>"]
    assert reasons(source)[1:] == ["parts do not match", "no picture"]
    write_images(tmp_path, "blue")
    rows = [
        {"image": ["blue.png"], "text": "a"},
        {"image": [{"bytes": None, "path": "blue.png"}], "text": "b"},
    ]
    assert all_told(open_data(write_lines(tmp_path / "a.jsonl", rows))) == [["a", "<blue>"], ["b", "<blue>"]]


IMAGES = {
    "bytes": png(),
    "struct": image(),
    "list": [png()],
    "structs": [image()],
    "name": "deep/red.PNG",
    "url": "https://somewhere/red.jpg?size=1",
    "base64": base64.b64encode(png()).decode(),
    "data": "data:image/png;base64,iVBO",
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_that_no_name_claims_are_not_left_out_silently(tmp_path, kind):
    rows = [{"caption": "one", "shown": None}, {"caption": "two", "shown": IMAGES[kind]}]
    file = write_parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(ValueError, match="'shown' of caption, shown, which has no known name"):
        open_data(file)
    assert all_told(open_data(file, format="texts")) == [["one"], ["two"]]
    if not isinstance(IMAGES[kind], str):
        assert told(open_data(file, format="table", picture_column="shown")[1]) == ["two", "<red>"]


def test_a_conversation_does_not_leave_out_images(tmp_path):
    turns = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "Red."}]
    file = write_parquet(tmp_path / "a.parquet", [{"messages": turns, "photo": image()}])
    with pytest.raises(ValueError, match="'photo' of messages, photo"):
        open_data(file)
    assert all_told(open_data(file, format="messages")) == [["~Which?", "Red."]]


def test_texts_about_files_are_texts(tmp_path):
    rows = [
        {"text": "see red.png", "source": "a.html", "more": {"bytes": 3, "path": "x", "n": 1}},
        {"text": "red.png"},
    ]
    assert all_told(open_data(write_lines(tmp_path / "a.jsonl", rows))) == [["see red.png"], ["red.png"]]


def test_a_stream_does_not_leave_out_images_either(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_parquet(tmp_path / "set/train.parquet", [{"caption": "one", "shown": png()}])
    with pytest.raises(ValueError, match="a row has caption, shown"):
        Streamed(str(tmp_path / "set"))
    assert all_told(Streamed(str(tmp_path / "set"), format="texts")) == [["one"]]


# ---- values that are missing


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "null"])
def test_numbers_that_are_none_are_no_caption(tmp_path, value):
    write_images(tmp_path, "red")
    (tmp_path / "a.jsonl").write_text(
        f'{{"image": "red.png", "text": {value}}}\n{{"image": "red.png", "text": "a"}}\n'
    )
    assert reasons(open_data(tmp_path / "a.jsonl")) == ["no caption", "a"]
    assert reasons(open_data(tmp_path / "a.jsonl", format="texts")) == ["no caption", "a"]


def test_fractions_of_parquet_that_are_none_are_no_caption(tmp_path, caplog):
    rows = [{"image": image(), "text": value} for value in (float("nan"), float("inf"), 0.5)]
    assert reasons(open_data(write_parquet(tmp_path / "a.parquet", rows))) == [
        "no caption",
        "no caption",
        "0.5",
    ]
    assert "such as 0.5" in caplog.text


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("tsv", "\t"), ("csv", ";"), ("csv", "|")])
def test_words_that_spell_a_missing_value_are_counted_once(tmp_path, caplog, suffix, separator):
    write_images(tmp_path, "red")
    cells = ["nan", '"NaN"', "None", "none of them", "nannan", "a nan", ""]
    rows = "".join(f"red.png,{cell},nan\r\n" for cell in cells)
    text = f"image,text,nan\r\n{rows}red.png,<NA>,nan"
    (tmp_path / f"a.{suffix}").write_text(text.replace(",", separator))
    source = open_data(tmp_path / f"a.{suffix}")
    open_data(tmp_path / f"a.{suffix}", split="train")
    assert reasons(source) == [
        "nan",
        "NaN",
        "None",
        "none of them",
        "nannan",
        "a nan",
        "empty caption",
        "<NA>",
    ]
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{tmp_path / f'a.{suffix}'}: 4 captions in 'text' are words such as nan or null, which are learned "
        "verbatim: leave the cell empty if there is no caption"
    ]  # fmt: skip


# ---- odd files


def test_columns_without_names_may_come_twice(tmp_path):
    write_images(tmp_path, "red")
    (tmp_path / "a.csv").write_text(",image,text,,\n0,red.png,one,,\n")
    assert all_told(open_data(tmp_path / "a.csv")) == [["one", "<red>"]]


ODD = {
    "deep": '{"image": "red.png", "text": "a", "x": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "long number": '{"image": "red.png", "text": ' + "9" * 5000 + "}",
    "half a letter": '{"image": "\\ud800.png", "text": "a"}',
    "long line": '{"image": "red.png", "text": "' + "x" * 2**24 + '"}',
    "list": '["red.png"]',
    "object": '{"image": "red.png", "text": {"en": "a"}}',
    "truth": '{"image": "red.png", "text": true}',
    "base64": '{"image": {"bytes": "' + "iVBO" * 99 + '", "path": null}, "text": "a"}',
    "numbers": '{"image": {"bytes": [137, 80], "path": null}, "text": "a"}',
    "two images": '{"image": ["red.png", "red.png"], "text": "a"}',
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_record_is_a_fault_in_one_line_and_the_next_is_read(tmp_path, kind):
    write_images(tmp_path, "red")
    file = tmp_path / "a.jsonl"
    file.write_text(ODD[kind] + '\n{"image": "red.png", "text": "b"}\n')
    source = open_data(file, format="table")
    fault = read(source, 0)
    assert isinstance(fault, Fault) and str(fault).count(fault.reason) == 1 and "\n" not in str(fault)
    assert told(source[1]) == ["b", "<red>"]


def test_words_in_json_lines_that_spell_a_missing_value_are_counted(tmp_path, caplog):
    rows = [{"text": cell, "more": "nan"} for cell in ("nan", "a", "None ", None, "a nan", 3)]
    open_data(write_lines(tmp_path / "a.jsonl", rows))
    assert "2 captions in 'text' are words such as nan" in caplog.text


CELLS = {
    "json": '["a red one", "it\'s red"]',
    "python": "['a red one', \"it's red\"]",
}


@pytest.mark.parametrize("kind", CELLS)
def test_of_a_list_in_a_cell_the_first_caption_is_learned(tmp_path, kind, caplog):
    write_images(tmp_path, "red")
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "caption"], ["red.png", CELLS[kind]]])
    assert reasons(open_data(str(tmp_path))) == ["a red one"]
    assert "captions in 'caption' are lists of several: the first of each is learned" in caplog.text


@pytest.mark.parametrize("cell", ["['a' 'b']", '{"en": "red"}', "[1, 2]", "['open"])
def test_what_looks_like_a_list_and_is_none_of_captions_stays_and_is_said(tmp_path, cell, caplog):
    write_images(tmp_path, "red")
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "caption"], ["red.png", cell]])
    assert reasons(open_data(str(tmp_path))) == [cell]
    assert ("are learned verbatim" in caplog.text) == (cell[-1] in "]}")


def test_lists_of_captions_in_json_are_said_to_be_cut(tmp_path, caplog):
    write_images(tmp_path, "red")
    write_lines(tmp_path / "metadata.jsonl", [{"file_name": "red.png", "text": ["one", "two"]}])
    assert reasons(open_data(str(tmp_path))) == ["one"]
    assert "the first of each is learned" in caplog.text


@pytest.mark.parametrize("start", ["", "data:image/png;base64,"])
def test_base64_is_told_from_a_name(tmp_path, start):
    cell = start + base64.b64encode(png("red")).decode()
    write_lines(tmp_path / "data.jsonl", [{"image": cell, "text": "one"}])
    fault = read(open_data(str(tmp_path)), 0)
    assert fault.reason == "no picture"
    assert f"base64 of {len(cell)} characters, not a file name: write the image to a file" in str(fault)


def test_a_cell_that_csv_does_not_hold_says_so(tmp_path):
    (tmp_path / "data.csv").write_text(f"image,caption\n{'A' * 140_000},one\n")
    with pytest.raises(ValueError, match="a cell has more than 131,072 characters, as images in base64 do"):
        open_data(str(tmp_path))


def test_an_image_in_another_folder_says_how_to_name_it(tmp_path):
    (tmp_path / "set").mkdir()
    write_lines(tmp_path / "set/data.jsonl", [{"image": str(tmp_path / "red.png"), "text": "one"}])
    assert "images=DIR names another folder" in str(read(open_data(str(tmp_path / "set")), 0))


# ---- splits


def describe(record_format: str, image: str, text: str) -> dict:
    if record_format == "table":
        return {"image": image, "text": text}
    asked = {"from": "human", "value": "<image>\nWhat is it?"}
    return {"image": image, "conversations": [asked, {"from": "gpt", "value": text}]}


@pytest.mark.parametrize("record_format", ["table", "llava"])
def test_all_texts_of_an_image_are_in_one_split(tmp_path, record_format):
    """As in Flickr's tables, with five captions of each image in turn."""
    write_images(tmp_path, "red", "blue", "lime")
    colours = ["red", "blue", *["lime"] * 19]
    rows = [describe(record_format, f"{colours[n // 5]}.png", f"{n}") for n in range(105)]
    file = write_lines(tmp_path / "set.jsonl", rows)
    train, val = (all_told(open_data(file, split=split)) for split in ("train", "val"))
    assert [len(val), len(train), str(val).count("<red>"), str(train).count("<red>")] == [5, 100, 5, 0]


def test_rows_without_an_image_are_split_one_by_one(tmp_path):
    write_images(tmp_path, "red")
    asked = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
    rows = [describe("llava", "red.png", "one"), describe("llava", "red.png", "two")]
    rows += [{"conversations": asked} for _ in range(39)]
    file = write_lines(tmp_path / "set.jsonl", rows)
    assert [len(open_data(file, split=split)) for split in ("train", "val")] == [38, 3]


def test_a_split_by_images_has_no_test_part(tmp_path):
    write_images(tmp_path, "red", "blue")
    file = write_lines(
        tmp_path / "set.jsonl", [describe("table", f"{c}.png", c) for c in ("red", "red", "blue")]
    )
    with pytest.raises(ValueError, match="no split test"):
        open_data(file, split="test")
