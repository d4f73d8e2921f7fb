"""A source is opened by its name, path or class; errors name anything else."""

from io import BytesIO
from tarfile import TarInfo
from tarfile import open as open_tar

import pytest
from PIL import Image

from unitok.training.open_source import open_source, reader_names
from unitok.worlds.seeded import TEST_SEED, TRAIN_SEED
from unitok.worlds.shapes.scenes import ShapesSource

SHAPES = {"class_path": "unitok.worlds.shapes.scenes.ShapesSource", "init_args": {"count": 3, "canvas": 48}}


def test_shapes_are_known_by_name_with_a_seed_a_split():
    train, test = (open_source("shapes", split=split, settings={"count": 2}) for split in ("train", "test"))
    assert (train.first_seed, test.first_seed) == (TRAIN_SEED, TEST_SEED)
    assert len(train) == 2 and reader_names(train) == "ShapesSource"


def test_sources_lie_within_sources():
    path = "unitok.data.source.Concat"
    both = open_source({"class_path": path, "init_args": {"sources": [SHAPES, SHAPES]}})
    assert len(both) == 6 and reader_names(both) == "ShapesSource"


def test_a_class_is_known_by_its_path_or_its_name_alone():
    for name in ("unitok.worlds.shapes.scenes.ShapesSource", "ShapesSource"):
        source = open_source(name, settings=SHAPES["init_args"])
        assert isinstance(source, ShapesSource) and len(source) == 3


def test_a_folder_of_shards_is_a_source(tmp_path):
    with open_tar(tmp_path / "train-000.tar", "w") as tar:
        file = BytesIO()
        Image.new("RGB", (8, 8)).save(file, "PNG")
        for name, content in (("a.png", file.getvalue()), ("a.txt", b"black")):
            info = TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    assert open_source(str(tmp_path), split="all")[0][0].content == "black"


@pytest.mark.parametrize(
    ("source", "options", "named"),
    [
        ("nowhere", {}, "nowhere: neither 'shapes', an existing path"),
        ("no.such.module.Source", {}, r"no\.such\.module\.Source: neither"),
        ("pathlib.Path", {}, "pathlib.Path: neither .* the class path of a Source"),
        ("shapes", {"split": "dev"}, "the split of shapes must be one of train, val, test, got 'dev'"),
        ("shapes", {"settings": {"colour": 3}}, "ShapesSource: .*colour"),
        (
            SHAPES | {"args": {}},
            {},
            "a source must have class_path and may have init_args, got class_path, init_args, args",
        ),
        ({"init_args": {}}, {}, "a source must have class_path and may have init_args, got init_args"),
        (".", {"split": "dev"}, "split must be one of all, train, val, test, got 'dev'"),
    ],
)
def test_what_is_no_source_is_named(source, options, named):
    with pytest.raises(ValueError, match=named):
        open_source(source, **options)
