"""COCO's captions find their images in the layouts that people have, and say so where they do not."""

import json
import shutil

import pytest
from PIL import Image

from tests.data.samples import all_told, formats, told, whole, write_images
from unitok.data.faults import Fault
from unitok.data.readers.coco import CocoCaptions
from unitok.data.source import read, warn_once
from unitok.data.sources import open_data

NAMES = ("red.png", "blue.png", "lime.png")


@pytest.fixture(autouse=True)
def _said_anew():
    warn_once.cache_clear()


def write_coco(file, names=NAMES, *, ids=range(9), shown=range(9)):
    """A caption for each image."""
    images = [{"id": image, "file_name": name} for image, name in zip(ids, names, strict=False)]
    said = zip(shown, names, strict=False)
    annotations = [
        {"id": 100 + number, "image_id": image, "caption": f"{name}"}
        for number, (image, name) in enumerate(said)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    return file


@pytest.mark.parametrize(
    "layout", ["", "train2017", "images", "images/train2017", "annotations", "annotations/train2017"]
)
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_the_folder_is_found_though_images_are_missing(tmp_path, caplog, layout, missing):
    write_images(tmp_path / layout, *(name.removesuffix(".png") for name in NAMES[missing:]))
    write_images(tmp_path / "elsewhere", "red")
    write_coco(tmp_path / "annotations/captions_train2017.json")
    found = [read(source, index) for source in (open_data(tmp_path),) for index in range(3)]
    assert [one.reason if isinstance(one, Fault) else told(one)[0] for one in found] == [
        *["missing file"] * missing,
        *NAMES[missing:],
    ]
    assert not caplog.records


def test_the_folder_with_the_most_is_taken(tmp_path):
    write_images(tmp_path / "annotations", "red")
    write_images(tmp_path / "images/train2017", "red", "lime", "blue")
    write_coco(tmp_path / "annotations/captions_train2017.json")
    assert len(all_told(open_data(tmp_path))) == 3


def test_the_images_may_begin_late(tmp_path, caplog):
    names = [f"{number}.png" for number in range(150)] + ["red.png"]
    write_images(tmp_path / "images", "red")
    file = write_coco(tmp_path / "annotations/captions_train.json", names, ids=range(200), shown=range(200))
    assert told(open_data(file)[150]) == ["red.png", "<red>"] and not caplog.records


@pytest.mark.parametrize(
    "file", ["captions.json", "annotations/captions.json", "annotations/captions_train2017.json"]
)
def test_without_validation_images_a_share_of_them_validates_with_all_their_captions(tmp_path, file):
    names = [f"{number}.png" for number in range(45)]
    shown = [number for number in range(1, 45) for _ in range(5)]  # nobody says anything of image 0
    write_images(tmp_path / "images", "red")
    for name in names:
        shutil.copy(tmp_path / "images/red.png", tmp_path / "images" / name)
    path = write_coco(tmp_path / file, names, ids=range(45), shown=range(45))
    content = json.loads(path.read_text())
    content["annotations"] = [{"id": n, "image_id": i, "caption": f"{i}"} for n, i in enumerate(shown)]
    path.write_text(json.dumps(content))
    root = path if file == "captions.json" else tmp_path
    train, val = ([text for text, _ in all_told(open_data(root, split=split))] for split in ("train", "val"))
    assert {*val} == {"1", "21", "41"} and len(val) == 15
    assert sorted(train + val) == sorted(map(str, shown))


def test_validation_images_alone_are_no_training_set(tmp_path):
    write_images(tmp_path / "images", "red", "blue", "lime")
    file = write_coco(tmp_path / "annotations/captions_val2017.json")
    with pytest.raises(FileNotFoundError, match=r"no split train, only val; .* path of one split"):
        open_data(tmp_path, split="train")
    assert len(open_data(tmp_path, split="val")) == 3 and len(open_data(file, split="train")) == 2


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        ([0, 1, 2], ["0", "1", "2"]),
        (["0", "1", "2"], [0, 1, 2]),
        ([0, 1, 2], [0.0, 1.0, 2.0]),
        (["a", "b", "c"], ["a", "b", "c"]),
    ],
)
def test_ids_are_compared_as_text(tmp_path, ids, shown):
    write_images(tmp_path, "red", "blue", "lime")
    file = write_coco(tmp_path / "captions.json", ids=ids, shown=shown)
    assert [said for said, _ in all_told(open_data(file))] == [*NAMES]


def test_an_id_of_two_files_is_a_fault(tmp_path):
    write_images(tmp_path, "red", "blue")
    file = write_coco(
        tmp_path / "captions.json", ["red.png", "blue.png", "red.png"], ids=[1, 1, 1], shown=[1]
    )
    source = open_data(file)
    assert [(fault.reason, fault.path) for fault in source.faults] == [("file twice", f"{file}:images[1]")]
    assert all_told(source) == [["red.png", "<red>"]]


def test_where_no_folder_has_any_it_is_said_once(tmp_path, caplog):
    file = write_coco(tmp_path / "annotations/captions_val2017.json")
    source = open_data(file)
    open_data(file)
    CocoCaptions(str(file), images=str(tmp_path / "gone"))
    first, second = (record.message for record in caplog.records)
    assert first.startswith(f"{file}: none of 3 images is in {file.parent}, {file.parent}/val2017, ")
    assert f"{tmp_path}/images/val2017: give --set images=DIR" in first
    assert second.endswith(f"none of 3 images is in {tmp_path}/gone: give --set images=DIR")
    assert read(source, 0).reason == "missing file"


ODD = [
    "x" * 300 + ".png",
    "ü" * 130 + ".png",
    "a/" * 3000 + "a.png",
    "\ud800.png",
    "a\0.png",
    "",
    None,
    7,
    "../red.png",
    {},
    [],
]


@pytest.mark.parametrize("name", ODD)
def test_no_name_of_an_image_ends_the_reading(tmp_path, name):
    write_images(tmp_path, "red")
    file = write_coco(tmp_path / "captions.json", [name, "red.png"])
    source = open_data(file)
    assert isinstance(read(source, 0), Fault) and told(source[1]) == ["red.png", "<red>"]
    records = {
        "table": {"image": name, "text": "a"},
        "llava": {
            "image": name,
            "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "a"}],
        },
        "obelics": {"texts": [None], "images": [name]},
        "mmc4": {"text_list": ["a"], "image_info": [{"image_name": name, "matched_text_index": 0}]},
    }
    for format, record in records.items():
        listed = tmp_path / f"{format}.jsonl"
        listed.write_text(json.dumps(record) + "\n")
        assert isinstance(read(open_data(listed, format=format), 0), Fault), format


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
    with pytest.raises(FileNotFoundError, match="no split train, only val"):
        whole(tmp_path, split="train")


def test_a_folder_with_one_file_of_captions_is_split_by_documents(tmp_path):
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(40)]
    annotations = [{"id": i, "image_id": i, "caption": f"number {i}"} for i in range(40)]
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    for image in images:
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / image["file_name"])
    content = json.dumps({"images": images, "annotations": annotations})
    (tmp_path / "annotations/captions.json").write_text(content, encoding="utf-8")
    train, val = (open_data(str(tmp_path), split=split) for split in ("train", "val"))
    assert len(train) + len(val) == 40 and len(val) == 2
    assert train[0][0].content == "number 1" and train[0][1].content.size == (8, 8)
