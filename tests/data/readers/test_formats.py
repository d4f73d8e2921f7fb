"""Each format, tiny and written here: it is recognised, and its documents are those expected by hand."""

import csv
import gzip
import json
import pickle
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.samples import all_told, png, told, write_images, write_lines, write_tar
from unitok.data.faults import Fault, SampleError
from unitok.data.files import records
from unitok.data.files.open_records import FirstLook
from unitok.data.readers.detect_format import FORMATS, detect
from unitok.data.readers.tables import CaptionTable
from unitok.data.source import Source, SplitOf, read
from unitok.data.sources import open_data


def whole(path, **options) -> Source:
    """What is at a path, which survives being sent to a worker."""
    source = open_data(path, **options)
    return pickle.loads(pickle.dumps(source))


def formats(path) -> str:
    return detect(path).reader.format


# ---- images in folders


def test_pictures_alone(tmp_path):
    write_images(tmp_path / "deep", "blue")
    write_images(tmp_path, "red")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert formats(tmp_path) == "pictures"
    assert all_told(whole(tmp_path)) == [["<blue>"], ["<red>"]]


def test_pictures_with_texts_beside_them(tmp_path):
    write_images(tmp_path, "red", "lime", "blue")
    (tmp_path / "red.txt").write_text(" a red one\n")
    (tmp_path / "lime.TXT").write_bytes("ein grünes".encode("utf-8-sig"))
    (tmp_path / "gone.txt").write_text("nothing")
    (tmp_path / "red.jpg").write_bytes(png("red"))
    assert formats(tmp_path) == "pairs"
    source = whole(tmp_path)
    assert sorted(all_told(source)) == [["a red one", "<red>"], ["ein grünes", "<lime>"]]
    assert {(fault.reason, fault.path.rpartition("/")[2]) for fault in source.faults} == {
        ("no caption", "blue.png"),
        ("no picture", "gone.txt"),
        ("file twice", "red.png"),
    }


def test_folders_of_classes_with_a_template(tmp_path):
    write_images(tmp_path / "fire_truck", "red")
    write_images(tmp_path / "train", "blue")
    assert formats(tmp_path) == "classes"
    assert all_told(whole(tmp_path)) == [["fire truck", "<red>"], ["train", "<blue>"]]
    assert told(whole(tmp_path, template="a photo of a {}")[0])[0] == "a photo of a fire truck"
    with pytest.raises(ValueError, match=r"must have \{\}"):
        whole(tmp_path, template="a photo")


# ---- tables

ROWS = [
    {"file_name": "red.png", "text": "a red one"},
    {"file_name": "deep/blue.png", "text": 'blue, "two"\nlines'},
]
TOLD = [["a red one", "<red>"], ['blue, "two"\nlines', "<blue>"]]


@pytest.fixture
def image_folder(tmp_path):
    write_images(tmp_path, "red")
    write_images(tmp_path / "deep", "blue")
    return tmp_path


def write_csv(path, rows, delimiter=","):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


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


UNBALANCED = [
    'a,"\n', ',"\n', '"\n', '""""\n', ',"""\n', 'x","\n', '",",\n', 'a,"x\nb,y\n', '"a","\n', '",\n",\n',
]  # fmt: skip


@pytest.mark.parametrize("line", UNBALANCED)
@pytest.mark.parametrize("end", ["", '"\n', 'a,"two\nlines"\n'])
def test_a_csv_of_unbalanced_quotations_is_read_in_linear_time(tmp_path, monkeypatch, line, end):
    work = []

    def quoted(content, *rest):
        work.append(len(content) + 1)
        return quoted_at_end(content, *rest)

    def parsed(self, row, **options):
        work.append(len(row) + 1)
        return parse(self, row, **options)

    quoted_at_end, parse = records._ends_quoted, records.DelimitedRows._parse
    monkeypatch.setattr(records, "_ends_quoted", quoted)
    monkeypatch.setattr(records.DelimitedRows, "_parse", parsed)
    monkeypatch.setattr(records, "MAX_WASTED", 2**12)
    file = tmp_path / "list.csv"
    file.write_text("image,text\n" + line * (6_000 // len(line)) + end)
    rows = records.DelimitedRows(file)
    assert sum(work) < 8 * file.stat().st_size + 2**12
    assert len(rows)


def test_rows_after_unbalanced_quotations_are_read(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text(
        "image,text\n" + 'a.png,"5 inch\n' * 500 + "".join(f'{n}.png,"two\nlines"\n' for n in range(500))
    )
    rows = records.DelimitedRows(file)
    assert len(rows) == 1000
    assert [rows[index]["text"] for index in range(500, 1000)] == ["two\nlines"] * 500


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.text(alphabet='a",\n', max_size=4), min_size=2, max_size=2), max_size=8))
def test_rows_that_csv_writes_come_back(rows):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list.csv"
        with file.open("w", newline="") as opened:
            csv.writer(opened, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
                [["image", "text"], *rows]
            )
        read = records.DelimitedRows(file)
        assert [[*read[index].values()] for index in range(len(read))] == rows


def write_parquet(path, rows, **options):
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, **options)


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


# ---- COCO


def test_coco_captions_find_their_pictures(tmp_path):
    write_images(tmp_path / "val2017", "red", "blue")
    content = {
        "images": [{"id": 1, "file_name": "red.png"}, {"id": 2, "file_name": "blue.png"}],
        "annotations": [
            {"id": 7, "image_id": 2, "caption": "blue "},
            {"id": 8, "image_id": 1, "caption": "red"},
            {"id": 9, "image_id": 1, "caption": "rouge"},
            {"id": 10, "image_id": 3, "caption": "lost"},
            "nonsense",
        ],
    }
    file = tmp_path / "annotations/captions_val2017.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content))
    assert formats(file) == formats(tmp_path) == "coco"
    for source in (whole(file), whole(tmp_path, split="val")):
        assert [told(source[i]) for i in range(3)] == [
            ["blue", "<blue>"],
            ["red", "<red>"],
            ["rouge", "<red>"],
        ]
        assert read(source, 3).reason == "no picture" and source.faults[0].reason == "not a JSON object"
    with pytest.raises(FileNotFoundError, match="captions_train"):
        whole(tmp_path, split="train")


# ---- pages


def test_obelics_pages(image_folder):
    file = write_lines(
        image_folder / "pages.jsonl",
        [
            {"texts": ["one", None, " ", "two"], "images": [None, "red.png", None, None]},
            {"texts": [None, "three"], "images": ["deep/blue.png", None]},
            {"texts": ["a"], "images": [None, None]},
            {"texts": ["a"], "images": ["red.png"]},
            {"texts": [None], "images": ["https://somewhere/a.png"]},
            {"texts": [None], "images": [None]},
        ],
    )
    assert formats(file) == "obelics"
    source = whole(file)
    assert [told(source[i]) for i in (0, 1)] == [["one", "<red>", "two"], ["<blue>", "three"]]
    assert [read(source, i).reason for i in range(2, 6)] == [
        *("parts do not match", "parts do not match", "url, not a file", "empty caption"),
    ]  # fmt: skip


def test_mmc4_pages(image_folder):
    file = write_lines(
        image_folder / "pages.jsonl",
        [
            {
                "text_list": ["One.", "Two.", "Three."],
                "image_info": [
                    {"image_name": "deep/blue.png", "matched_text_index": 2},
                    {"image_name": "red.png", "matched_text_index": 0},
                ],
            },
            {"text_list": ["One."], "image_info": [{"image_name": "red.png", "matched_text_index": 1}]},
        ],
    )
    assert formats(file) == "mmc4"
    source = whole(file)
    assert told(source[0]) == ["<red>", "One. Two.", "<blue>", "Three."]
    assert read(source, 1).reason == "parts do not match"


# ---- conversations


def test_llava_conversations_learn_what_gpt_says(image_folder):
    turns = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "Red."}]
    records = [
        {"id": 1, "image": "red.png", "conversations": [*turns, {"from": "human", "value": "No?"}, turns[1]]},
        {"image": ["red.png", "deep/blue.png"], "conversations": [
            {"from": "human", "value": "A <image> or <image>?"}, {"from": "gpt", "value": "Both."}]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"image": "red.png", "conversations": [{"from": "human", "value": "Which?"}, turns[1]]},
        {"conversations": turns},
        {"image": ["red.png", "red.png"], "conversations": turns},
        {"image": "red.png", "conversations": turns[:1]},
        {"image": "red.png", "conversations": [{"from": "human"}]},
    ]  # fmt: skip
    file = image_folder / "llava.json"
    file.write_text(json.dumps(records))
    assert formats(file) == "llava"
    source = whole(file)
    assert [told(source[i]) for i in range(4)] == [
        ["~<red>", "~Which?", "Red.", "~No?", "Red."],
        ["~A", "~<red>", "~or", "~<blue>", "~?", "Both."],
        ["~Hi", "Hello"],
        ["~<red>", "~Which?", "Red."],
    ]
    assert [read(source, i).reason for i in range(4, 8)] == [
        *("parts do not match", "parts do not match", "no caption", "caption is no text"),
    ]  # fmt: skip


def test_messages_learn_what_the_assistant_says_and_draws(image_folder):
    def parts(*kinds):
        return [{"type": "image"} if kind is None else {"type": "text", "text": kind} for kind in kinds]

    file = write_lines(
        image_folder / "chat.jsonl",
        [
            {"images": ["red.png", "deep/blue.png"], "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": parts(None, "Turn it blue.")},
                {"role": "assistant", "content": parts("There:", None)}]},
            {"messages": [{"role": "user", "content": [{"type": "image", "path": "red.png"}]},
                          {"role": "assistant", "content": "Red."}]},
            {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "Red."}],
             "images": [{"path": "red.png"}]},
            {"images": ["red.png"], "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Which?"},
                {"role": "assistant", "content": "Red."}]},
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            {"messages": [{"role": "user", "content": 3}]},
        ],
    )  # fmt: skip
    assert formats(file) == "messages"
    source = whole(file)
    assert [told(source[i]) for i in range(4)] == [
        ["~Be kind.", "~<red>", "~Turn it blue.", "There:", "<blue>"],
        ["~<red>", "Red."],
        ["~<red>", "~?", "Red."],
        ["~Be kind.", "~<red>", "~Which?", "Red."],
    ]
    assert [read(source, i).reason for i in (4, 5)] == ["caption is no text"] * 2


NOTHING = [None, "", " ", [], [""], [None], {"bytes": None, "path": None}, [{"bytes": None, "path": ""}]]


@pytest.mark.parametrize("name", ["image", "images"])
@pytest.mark.parametrize("value", NOTHING)
def test_a_conversation_that_names_no_image_has_none(tmp_path, name, value):
    llava = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    for format, turns in (("llava", {"conversations": llava}), ("messages", {"messages": said})):
        source = whole(write_lines(tmp_path / f"{format}.jsonl", [{name: value, **turns}]))
        assert source.format == format and all_told(source) == [["~Hi", "Hello"]]


def test_a_page_may_have_empty_names_in_place_of_images(image_folder):
    page = {"texts": ["one", "", "two"], "images": ["", "red.png", None]}
    assert all_told(whole(write_lines(image_folder / "pages.jsonl", [page]))) == [["one", "<red>", "two"]]


def test_images_without_a_mark_come_first_in_both_formats(image_folder):
    turns = [("user", "Which?"), ("assistant", "Red."), ("user", "No?"), ("assistant", "Yes.")]
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    for first, expected in (
        ([], ["~<red>", "~<blue>", "~Which?", "Red.", "~No?", "Yes."]),
        ([("system", "Be brief.")], ["~Be brief.", "~<red>", "~<blue>", "~Which?", "Red.", "~No?", "Yes."]),
        ([("assistant", "Hello")], ["~<red>", "~<blue>", "Hello", "~Which?", "Red.", "~No?", "Yes."]),
    ):
        said = [*first, *turns]
        for name, record in {
            "llava": {"conversations": [{"from": names[role], "value": value} for role, value in said]},
            "messages": {"messages": [{"role": role, "content": value} for role, value in said]},
        }.items():
            file = write_lines(
                image_folder / f"{name}.jsonl", [{"images": ["red.png", "deep/blue.png"], **record}]
            )
            assert all_told(whole(file)) == [expected]


# ---- idx and text


def write_idx(folder, name, *, count=3, cut=0):
    head = struct.pack(">HBBIII", 0, 8, 3, count, 2, 2)
    body = bytes(byte for i in range(count) for byte in [255 * (i % 2)] * 4)
    (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + body[: len(body) - cut]))
    labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(range(count))
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(labels)


def test_idx_files_of_mnist(tmp_path):
    write_idx(tmp_path, "train", count=41)
    write_idx(tmp_path, "t10k")
    assert formats(tmp_path) == "idx"
    assert len(whole(tmp_path)) == 44 and len(whole(tmp_path, split="test")) == 3
    assert len(whole(tmp_path, split="val")) == 3 and len(whole(tmp_path, split="train")) == 38
    source = whole(tmp_path, split="test", names=["no", "one", "two"], template="digit {}")
    assert [document[0].content for document in source] == ["digit no", "digit one", "digit two"]
    assert [document[1].content.getpixel((1, 1)) for document in source] == [(0,) * 3, (255,) * 3, (0,) * 3]
    few = whole(tmp_path, split="test", names=["no"])
    assert read(few, 1).reason == "parts do not match"


def test_a_cut_idx_file_loses_its_tail(tmp_path):
    write_idx(tmp_path, "train", cut=3)
    source = whole(tmp_path)
    assert len(source) == 2 and [fault.reason for fault in source.faults] == ["truncated archive"]
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x0d\3" + b"\xff" * 12))
    with pytest.raises(ValueError, match="not an idx file of bytes in 3 dimensions"):
        whole(tmp_path)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("paragraph", ["one\ntwo", "thrée"]),
        ("line", ["one", "two", "thrée"]),
        ("file", ["one\ntwo\n \n\nthrée"]),
    ],
)
def test_plain_text(tmp_path, unit, expected):
    (tmp_path / "a.txt").write_text("\none\ntwo\n \n\nthrée\n", encoding="utf-8")
    assert formats(tmp_path) == "text"
    assert all_told(whole(tmp_path, unit=unit)) == [[text] for text in expected]


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


# ---- paths, parts and formats


def test_a_folder_with_one_file_of_records_is_that_file(image_folder):
    write_lines(image_folder / "all.jsonl", [{"image": "red.png", "caption": "red"}])
    assert all_told(whole(image_folder)) == [["red", "<red>"]]
    assert all_told(whole(image_folder, format="pictures")) == [["<blue>"], ["<red>"]]


def test_several_paths_are_read_together(tmp_path):
    write_images(tmp_path / "a", "red")
    write_tar(tmp_path / "b.tar.gz", {"x.png": png("blue"), "x.txt": b"blue"}, mode="w:gz")
    assert all_told(whole([str(tmp_path / "a"), str(tmp_path / "b.tar.gz")])) == [
        ["<red>"],
        ["blue", "<blue>"],
    ]


def test_parts_are_folders_or_files_of_that_name(tmp_path):
    write_images(tmp_path / "a/train", "red")
    write_images(tmp_path / "a/validation", "blue")
    assert all_told(whole(tmp_path / "a", split="val")) == [["<blue>"]]
    assert all_told(whole(tmp_path / "a")) == [["<red>"], ["<blue>"]]
    with pytest.raises(FileNotFoundError, match="no split test, only train, val"):
        whole(tmp_path / "a", split="test")
    write_images(tmp_path / "b", "red", "blue")
    for name, colour in (("train", "red"), ("dev", "blue")):
        write_lines(tmp_path / f"b/{name}.jsonl", [{"image": f"{colour}.png", "text": colour}])
    assert all_told(whole(tmp_path / "b", split="val")) == [["blue", "<blue>"]]


def test_without_parts_a_share_is_held_out(tmp_path):
    file = write_lines(tmp_path / "t.jsonl", [{"text": str(i)} for i in range(45)])
    train, val = whole(file, split="train"), whole(file, split="val")
    assert [told(d)[0] for d in val] == ["0", "20", "40"] and len(train) == 42
    assert sorted(int(told(d)[0]) for s in (train, val) for d in s) == list(range(45))
    with pytest.raises(ValueError, match="no split test"):
        whole(file, split="test")
    with pytest.raises(IndexError):
        train[42]
    only_train = tmp_path / "s"
    write_images(only_train / "train", *(f"#{i:06x}" for i in range(21)))
    assert len(whole(only_train, split="train")) == 19 and isinstance(whole(only_train, split="val"), SplitOf)


def test_what_is_unknown_is_told_with_all_that_was_looked_for(tmp_path):
    (tmp_path / "a.xyz").write_text("?")
    for path in (tmp_path, tmp_path / "a.xyz"):
        with pytest.raises(ValueError, match="no known format") as error:
            open_data(path)
        assert str(error.value).endswith(f"--data.format chooses one: {', '.join(FORMATS)}")
    with pytest.raises(ValueError, match=r"format must be one of webdataset, .* got 'nope'"):
        open_data(tmp_path, format="nope")
    with pytest.raises(FileNotFoundError, match="gone: not found"):
        open_data(tmp_path / "gone")


def test_a_stray_or_damaged_file_hides_no_pictures(tmp_path):
    write_images(tmp_path, "red")
    (tmp_path / "notes.json").write_text('{"half": ')
    with pytest.raises(ValueError, match=r"notes\.json looks like captions and is not read: not JSON"):
        formats(tmp_path)
    assert all_told(whole(tmp_path, captions=False)) == all_told(whole(tmp_path, format="pictures"))
    for name, content in (
        ("a.json", "[1, "),
        ("b.csv", ""),
        ("c.csv", "a,a\n1,2\n"),
        ("d.jsonl", "x\n"),
        ("e.json", "[]"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match="no known format"):
            open_data(tmp_path / name)
    with pytest.raises(ValueError, match=r"a\.json: no known format: not JSON"):
        open_data(tmp_path / "a.json")
    (tmp_path / "c.json").write_text('{"images": [], "annotations": [3]}')
    with pytest.raises(ValueError, match="no known format"):
        open_data(tmp_path / "c.json")


def test_the_files_of_parts_come_before_folders_of_pictures(tmp_path):
    for part, colour in (("train", "red"), ("val", "blue")):
        write_images(tmp_path / part, colour)
        write_lines(tmp_path / f"{part}.jsonl", [{"image": f"{part}/{colour}.png", "text": colour}])
    assert all_told(whole(tmp_path, split="val")) == [["blue", "<blue>"]]


def test_a_look_reads_a_file_once(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    file.write_text("[1, 2]")
    look = FirstLook(file)
    assert look.record is None and look.json == [1, 2]
    file.unlink()
    assert not any(reader.fits(look) for reader in FORMATS.values())


def test_damaged_samples_raise_what_says_how(tmp_path):
    file = write_lines(tmp_path / "t.jsonl", [{"text": "a"}, 3])
    with pytest.raises(SampleError, match=r"t\.jsonl: got 3") as error:
        open_data(file)[1]
    assert error.value.fault == Fault("not a JSON object", str(file), "got 3", 14)
    assert pickle.loads(pickle.dumps(error.value)).fault == error.value.fault
