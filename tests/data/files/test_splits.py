"""Which split a name says, in any case and format; and what validates where no split does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.samples import all_told, png, write_images, write_lines, write_parquet, write_tar
from unitok.data.files.splits import SPLIT_BY_NAME, SPLITS, split_in_name, split_named
from unitok.data.readers.detect_format import split_paths
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import SplitOf
from unitok.data.sources import open_data

NAMES = st.sampled_from(sorted(SPLIT_BY_NAME))


@given(name=NAMES, changed=st.sampled_from([str.upper, str.title, str.lower]), after=st.text("-_.0123456789"))
def test_a_name_says_its_split_in_any_case(name, changed, after):
    assert split_named(changed(name)) == split_in_name(changed(name) + after) == SPLIT_BY_NAME[name]
    assert split_in_name(f"cc3m-{changed(name)}-{after}") == SPLIT_BY_NAME[name]


@given(name=NAMES, letters=st.text(st.characters(categories=["L"]), min_size=1))
def test_a_letter_more_is_another_word(name, letters):
    longer = name + letters
    assert longer.casefold() in SPLIT_BY_NAME or (
        split_in_name(longer) is None and split_named(longer) is None
    )


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Test"), ("Training", "Testing"), ("train", "eval"), ("TRAIN", "VALIDATION"),
        ("train", "evaluation"), ("training_set", "test_set"), ("train2017", "val2017"),
        ("train", "valid", "test"),
    ],
)  # fmt: skip
def test_folders_of_class_folders_keep_their_classes_and_their_splits(tmp_path, names):
    for name in names:
        for colour in ("red", "blue"):
            write_images(tmp_path / name / colour, colour)
    parts = split_paths(tmp_path)
    assert {folder.name for folder in parts.values()} == set(names)
    assert list(parts) == [part for part in SPLITS if part in parts]
    for part in parts:
        assert {line[0] for line in all_told(open_data(tmp_path, split=part))} <= {"red", "blue"}


def test_two_folders_of_one_split_are_refused(tmp_path):
    for name in ("train", "val", "eval"):
        write_images(tmp_path / name, "red")
    with pytest.raises(ValueError, match="eval and val both have the name of the split val"):
        open_data(tmp_path, split="train")


def test_what_a_system_leaves_beside_is_no_folder_of_the_set(tmp_path):
    for name in ("train", "__MACOSX", ".ipynb_checkpoints", "@eaDir"):
        write_images(tmp_path / name, "red")
    assert list(split_paths(tmp_path)) == ["train"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "tsv"])
def test_files_of_records_say_their_splits(tmp_path, suffix):
    write_images(tmp_path, "red", "blue")
    for name, colour in (("captions_Train", "red"), ("captions_Eval", "blue")):
        file = tmp_path / f"{name}.{suffix}"
        if suffix == "jsonl":
            write_lines(file, [{"image": f"{colour}.png", "text": colour}])
        else:
            between = "," if suffix == "csv" else "\t"
            file.write_text(f"image{between}text\n{colour}.png{between}{colour}\n")
    assert all_told(open_data(tmp_path, split="train")) == [["red", "<red>"]]
    assert all_told(open_data(tmp_path, split="val")) == [["blue", "<blue>"]]


# ---- shards and Parquet files


def write_set(folder, kind, *names):
    """A sample a file; its caption is the file's name."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if kind == "tar":
            write_tar(folder / f"{name}.tar", {"a.png": png(), "a.txt": name.encode()})
        else:
            pytest.importorskip("pyarrow")
            write_parquet(
                folder / f"{name}.parquet", [{"image": {"bytes": png(), "path": None}, "text": name}]
            )


def said(path, part):
    return [line[0] for line in all_told(open_data(path, split=part))]


@pytest.mark.parametrize("kind", ["tar", "parquet"])
@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train_000", "val_000"), ("train", "val"), ("train0", "eval0"), ("Train-0", "Valid-0"),
        ("train.0", "dev.0"), ("cc3m-train-0", "cc3m-validation-0"), ("TRAINING_0", "EVALUATION_0"),
    ],
)  # fmt: skip
def test_a_shard_belongs_to_the_split_that_its_name_says(tmp_path, kind, train, val):
    write_set(tmp_path, kind, train, val)
    assert said(tmp_path, "train") == [train] and said(tmp_path, "val") == [val]
    with pytest.raises(FileNotFoundError, match="no split test, only train, val"):
        open_data(tmp_path, split="test")


@pytest.mark.parametrize("kind", ["tar", "parquet"])
@pytest.mark.parametrize("others", [(), ("test-0",)])
def test_without_val_a_share_of_train_validates(tmp_path, kind, others):
    write_set(tmp_path, kind, *(f"train-{number:02}" for number in range(21)), *others)
    train, val = open_data(tmp_path, split="train"), open_data(tmp_path, split="val")
    assert isinstance(train, SplitOf) and (len(train), len(val)) == (19, 2)
    assert said(tmp_path, "val") == ["train-00", "train-20"]
    if others:
        assert said(tmp_path, "test") == ["test-0"]


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_without_train_it_is_said_which_splits_there_are(tmp_path, kind):
    write_set(tmp_path, kind, "val-0", "test-0")
    with pytest.raises(FileNotFoundError, match="no split train, only val, test"):
        open_data(tmp_path, split="train")


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_that_say_no_split_are_one_set(tmp_path, kind):
    write_set(tmp_path, kind, "trainval-0", "tested-0", *(f"{number:03}" for number in range(19)))
    assert (
        len(open_data(tmp_path, split="train")) == 19 + 2 - 2 and len(open_data(tmp_path, split="val")) == 2
    )


def test_shards_may_be_chosen_by_what_their_names_begin_with(tmp_path):
    write_set(tmp_path, "tar", "train-0", "pick_0", "picked-0")
    assert [WebDataset(str(tmp_path), "pick").caption(0)] == ["pick_0"] and len(
        WebDataset(str(tmp_path), "pick")
    ) == 1


def test_a_class_is_no_split_though_its_name_has_the_word(tmp_path):
    for name in ("test_tube", "test_card", "train_station", "bus"):
        write_images(tmp_path / name, "red")
    assert not split_paths(tmp_path) and len(open_data(tmp_path)) == 4


# ---- rows that say their split


def test_rows_say_their_splits_in_a_column(tmp_path):
    write_images(tmp_path, "red", "lime", "blue")
    splits = {"red": "Train", "lime": "valid", "blue": "test"}
    rows = [{"image": f"{one}.png", "text": one, "Split": split} for one, split in splits.items()]
    file = write_lines(
        tmp_path / "all.jsonl", [*rows, {"image": "red.png", "text": "more", "Split": "train"}]
    )
    assert said(file, "train") == ["red", "more"] and said(file, "val") == ["lime"]
    assert said(file, "test") == ["blue"] and len(said(file, None)) == 4


def test_sentences_of_karpathy_keep_their_splits(tmp_path):
    write_images(tmp_path, "red", "lime", "blue")
    images = [
        {"filename": f"{one}.png", "split": split, "sentences": [{"raw": f"{one} 1"}, {"raw": f"{one} 2"}]}
        for one, split in (("red", "train"), ("lime", "restval"), ("blue", "val"))
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images}))
    assert said(tmp_path, "train") == ["red 1", "red 2", "lime 1", "lime 2"]
    assert said(tmp_path, "val") == ["blue 1", "blue 2"]


@pytest.mark.parametrize("name", ["metadata.jsonl", "captions.jsonl"])
@pytest.mark.parametrize("above", ["", "images/"])
def test_rows_say_their_splits_by_the_folders_of_their_images(tmp_path, name, above):
    rows = []
    for split, colour in (("train", "red"), ("train", "lime"), ("Test", "blue")):
        write_images(tmp_path / above / split, colour)
        rows.append({"file_name": f"{above}{split}/{colour}.png", "text": colour})
    write_lines(tmp_path / name, rows)
    assert said(tmp_path, "test") == ["blue"] and said(tmp_path, "val") == ["red"]
    assert said(tmp_path, "train") == ["lime"] and len(said(tmp_path, None)) == 3


def test_rows_of_which_one_says_no_split_are_one_set(tmp_path, caplog):
    write_images(tmp_path / "train", "red")
    write_images(tmp_path / "bus", *(f"#{number:06x}" for number in range(20)))
    rows = [{"image": "train/red.png", "text": "a train"}]
    rows += [{"image": f"bus/#{number:06x}.png", "text": "a bus"} for number in range(20)]
    file = write_lines(tmp_path / "all.jsonl", rows)
    assert len(open_data(file, split="train")) == 19 and len(open_data(file, split="val")) == 2
    assert "row 1 names no split, but others do: all are read as one set" in caplog.text


# ---- what is not taken for a split is said


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("train", "bus"), "train: named like splits, but not all entries beside them are"),
        (("images/train", "images/val", "more"), "images/train, images/val: named like splits, but not all"),
        (("train", "val", "extra"), "extra is not read: the splits are train, val"),
    ],
)
def test_folders_that_look_like_splits_and_are_none_are_named(tmp_path, caplog, folders, words):
    for folder in folders:
        write_images(tmp_path / folder, "red")
    open_data(tmp_path, captions=False)
    assert words in caplog.text


# ---- splits that are not all alike


@pytest.mark.parametrize("inner", ["", "shapes/"])
def test_a_split_of_one_class_has_classes_where_another_has(tmp_path, inner):
    for folder in (f"train/{inner}red", f"train/{inner}blue", f"val/{inner}red"):
        write_images(tmp_path / folder, folder.rpartition("/")[2])
    assert sorted(said(tmp_path, "train")) == ["blue", "red"] and said(tmp_path, "val") == ["red"]


def test_texts_say_their_splits_too_but_not_beside_images(tmp_path):
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.txt").write_text(f"of {name}")
        assert name == "train" or said(tmp_path, name) == [f"of {name}"]
    write_images(tmp_path / "images", "red")
    assert not split_paths(tmp_path)
