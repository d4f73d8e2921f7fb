"""Tables of each format are recognised, and their documents are those expected by hand."""

import pytest

from tests.data.samples import all_told, formats, png, told, whole, write_csv, write_lines, write_parquet
from unitok.data.faults import Fault
from unitok.data.readers.tables import CaptionTable
from unitok.data.source import read
from unitok.data.sources import open_data

ROWS = [
    {"file_name": "red.png", "text": "a red one"},
    {"file_name": "deep/blue.png", "text": 'blue, "two"\nlines'},
]


TOLD = [["a red one", "<red>"], ['blue, "two"\nlines', "<blue>"]]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_folder_with_metadata(image_folder, suffix):
    file = image_folder / f"metadata.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        write_parquet(file, ROWS)
    elif suffix == "csv":
        write_csv(file, ROWS)
    else:
        write_lines(file, ROWS)
    assert formats(image_folder) == "imagefolder"
    assert all_told(whole(image_folder)) == TOLD


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv_with_filepath_and_title(image_folder, suffix, delimiter):
    file = image_folder / f"list.{suffix}"
    write_csv(
        file, [{"filepath": row["file_name"], "title": row["text"], "more": "x"} for row in ROWS], delimiter
    )
    assert formats(file) == "table"
    assert all_told(whole(file)) == TOLD
    file.rename(image_folder / "deep" / file.name)
    moved = whole(image_folder / "deep" / file.name, images=str(image_folder))
    assert all_told(moved) == TOLD


def test_columns_can_be_named_and_must_be_there(image_folder):
    file = write_lines(image_folder / "list.jsonl", [{"shown": "red.png", "said": ["a", "b"]}])
    source = whole(file, format="table", picture_column="shown", caption_column="said")
    assert all_told(source) == [["a", "<red>"]]
    with pytest.raises(ValueError, match=r"no column of images among shown, said"):
        whole(file, format="table")
    with pytest.raises(ValueError, match=r"no column of captions 'words' among shown, said"):
        whole(file, format="table", picture_column="shown", caption_column="words")


def test_odd_rows_of_a_csv_are_faults_with_their_places(image_folder):
    file = image_folder / "list.csv"
    file.write_text(
        'filepath,title\nred.png,"open\nred.png,one\n\nred.png\n'
        'red.png,"two ""quoted""\nlines"\nred.png,a,b\n'
    )
    source = whole(file)
    found = [read(source, index) for index in range(len(source))]
    assert [f.reason if isinstance(f, Fault) else told(f)[0] for f in found] == [
        *("open", "one", "not a row", 'two "quoted"\nlines', "not a row"),
    ]  # fmt: skip
    text = file.read_text()
    assert found[2].offset == text.index("red.png\nred") and found[4].offset == text.index("red.png,a,b")


def test_parquet_with_pictures_in_it_and_splits_by_name(tmp_path):
    pytest.importorskip("pyarrow")
    rows = [
        {"image": {"bytes": png(colour), "path": None}, "caption": colour}
        for colour in ("red", "lime", "blue")
    ]
    write_parquet(tmp_path / "data/train-00000.parquet", rows, row_group_size=2)
    write_parquet(tmp_path / "data/validation-00000.parquet", rows[:1])
    assert formats(tmp_path) == "table"
    assert [line[0] for line in all_told(whole(tmp_path))] == ["red", "lime", "blue", "red"]
    assert all_told(whole(tmp_path, split="val")) == [["red", "<red>"]]
    source = whole(tmp_path / "data/train-00000.parquet")
    assert [told(source[index]) for index in (2, 0)] == [["blue", "<blue>"], ["red", "<red>"]]
    with pytest.raises(FileNotFoundError, match="no split test, only train, val"):
        whole(tmp_path, split="test")
    with pytest.raises(FileNotFoundError, match=r"no \.parquet files of the split test"):
        CaptionTable(str(tmp_path), part="test")


def test_a_set_saved_by_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"image": [{"bytes": png(c), "path": None} for c in ("red", "blue")], "text": ["one", "two"]}
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    made = datasets.Dataset.from_dict(rows, features=features)
    made.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": made, "validation": made.select([1])}).save_to_disk(tmp_path / "both")
    assert all_told(whole(tmp_path / "one")) == [["one", "<red>"], ["two", "<blue>"]]
    assert all_told(whole(tmp_path / "both", split="val")) == [["two", "<blue>"]]
    assert len(whole(tmp_path / "both")) == 3


def test_without_pyarrow_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"pip install 'unitok-lm\[data\]'"):
        open_data(tmp_path / "a.parquet")


def test_texts_in_a_table(tmp_path):
    file = write_lines(
        tmp_path / "t.jsonl", [{"id": 1, "text": "one"}, {"id": 2}, {"text": None}, {"text": [1]}]
    )
    assert formats(file) == "texts"
    source = whole(file)
    assert told(source[0]) == ["one"]
    assert [read(source, i).reason for i in (1, 2, 3)] == [
        "missing column",
        "no caption",
        "caption is no text",
    ]
    with pytest.raises(ValueError, match="no column of texts among id, text"):
        whole(file, text_column="words")
