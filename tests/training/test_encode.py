"""From a command line to codes on disk to batches; errors are one clear line."""

import json
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from jsonargparse import ArgumentParser
from PIL import Image

from tests.data.batches.test_packed_documents import fit
from tests.data.samples import write_images
from train.encode import main
from unitok.data.codes.build_codec import build_codec
from unitok.data.codes.store import Store
from unitok.data.document_data import DocumentData
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.training.open_source import open_source

ROOT = Path(__file__).parents[2]
SHAPES = {"class_path": "unitok.worlds.shapes.scenes.ShapesSource", "init_args": {"canvas": 48, "count": 6}}


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer") / "image_tokenizer"
    ImageTokenizer(ImageTokenizerConfig()).save_pretrained(folder)
    return folder


def encode(out, image_tokenizer, *more) -> Store:
    fixed = [
        "--image-tokenizer",
        str(image_tokenizer),
        "--out",
        str(out),
        "--quiet",
        "--image-shape",
        "6",
        "6",
    ]
    main([*fixed, *more])
    return Store(out, build_codec(image_tokenizer, out / "tokenizer.json", image_shape=(6, 6)))


def test_shapes_become_codes_with_the_text_tokenizer_they_were_read_with(tmp_path, image_tokenizer, capsys):
    options = ["--source", "shapes", "--set", "canvas=48", "--set", "count=6", "--set", "kind=one"]
    store = encode(tmp_path / "codes", image_tokenizer, *options)
    assert len(store) == 6 and [codes.modality for codes in store[0]] == ["text", "image"]
    assert store[0][1].shape == (6, 6)
    assert "6 documents" in capsys.readouterr().out
    val = encode(tmp_path / "val", image_tokenizer, *options, "--split", "val",
                 "--text-tokenizer", str(tmp_path / "codes/tokenizer.json"))  # fmt: skip
    assert len(val) == 6
    assert (tmp_path / "val/tokenizer.json").read_text() == (tmp_path / "codes/tokenizer.json").read_text()


def test_tasks_with_boxes_and_points_become_codes(tmp_path, image_tokenizer):
    tasks = {"class_path": "unitok.worlds.shapes.tasks.ShapesTasks", "init_args": {"canvas": 48, "count": 30}}
    config, out = tmp_path / "encode.yaml", tmp_path / "codes"
    config.write_text(yaml.safe_dump({"source": tasks, "locations": ["box", "point"]}))
    fixed = {"image-tokenizer": image_tokenizer, "out": out, "config": config}
    flags = [text for name, value in fixed.items() for text in (f"--{name}", str(value))]
    main([*flags, "--quiet", "--image-shape", "6", "6"])
    options = {"image_shape": (6, 6), "locations": ["box", "point"]}
    store = Store(out, build_codec(image_tokenizer, out / "tokenizer.json", **options))
    kinds = {segment.modality for i in range(30) for segment in store[i]}
    assert kinds == {"image", "text", "box", "point"}
    assert all(segment.learn == (place >= 2) for place, segment in enumerate(store[0]))
    with pytest.raises(ValueError, match="some of box, point, each once"):
        build_codec(image_tokenizer, out / "tokenizer.json", locations=["boxes"])


def mixture(**more) -> dict:
    """Two sources by weight, as YAML has them, by their short names."""
    scenes = {"canvas": 48, "kind": "one"}
    sources = [{"class_path": "ShapesSource", "init_args": scenes | {"count": n}} for n in (2, 3)]
    return {"class_path": "Mixture", "init_args": {"sources": sources, "weights": [1, 1], **more}}


def test_a_mixture_in_a_config_becomes_codes_and_one_with_tasks_does_not(tmp_path, image_tokenizer, capsys):
    config = tmp_path / "encode.yaml"
    config.write_text(yaml.safe_dump({"source": mixture(learn=[["text"], None])}))
    store = encode(tmp_path / "codes", image_tokenizer, "--config", str(config))
    assert [store[i][1].learn for i in range(len(store))] == [False] * 3 + [True] * 3
    together = {
        "class_path": "Concat",
        "init_args": {"sources": [mixture(), mixture(tasks=["draw", None])]},
    }
    config.write_text(yaml.safe_dump({"source": together}))
    with pytest.raises(SystemExit):
        encode(tmp_path / "more", image_tokenizer, "--config", str(config))
    assert "a store cannot hold tasks: encode each source separately and mix" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


def test_a_config_gives_the_options_and_flags_override_it(tmp_path, image_tokenizer):
    config = tmp_path / "encode.yaml"
    config.write_text(yaml.safe_dump({"source": SHAPES, "out": str(tmp_path / "no"), "image_shape": [1, 1]}))
    assert len(encode(tmp_path / "codes", image_tokenizer, "--config", str(config))) == 6
    assert not (tmp_path / "no").exists()


def test_help_is_there_at_once():
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "train/encode.py", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "folder of a trained image tokenizer" in done.stdout
    assert time.monotonic() - start < 2  # half a second on an idle machine


WRONG = {
    "no source": ({}, "--source is missing"),
    "unknown source": (
        {"source": "nope"},
        "nope: neither 'shapes', an existing path, nor the class path",
    ),
    "no class": ({"source": "unitok.worlds.shapes.scenes.Nope"}, "no attribute 'Nope'"),
    "no class in a mixture": (
        {
            "source": {
                "class_path": "Mixture",
                "init_args": {"sources": [{"class_path": "Nope"}], "weights": [1]},
            }
        },
        "Nope: neither 'shapes', an existing path, nor the class path of a Source",
    ),
    "no Source": ({"source": "json.JSONDecoder"}, "nor the class path of a Source"),
    "wrong mapping": (
        {"source": {"class": "x"}},
        "a source must have class_path and may have init_args, got class",
    ),
    "wrong argument": (
        {"source": {**SHAPES, "init_args": {"canvass": 48}}},
        "unexpected keyword argument 'canvass'",
    ),
    "wrong value": ({"source": {**SHAPES, "init_args": {"canvas": 7}}}, "canvas 7"),
    "wrong split": (
        {"source": "shapes", "split": "dev"},
        "the split of shapes must be one of train, val, test, got 'dev'",
    ),
    "typo": (
        {"source": "shapes", "image_shap": [6, 6]},
        "unknown option 'image_shap'; did you mean image_shape?",
    ),
    "wrong type": ({"source": "shapes", "image_shape": 6}, "image_shape must be 2 whole numbers, got 6"),
    "wrong number": (
        {"source": "shapes", "batch_size": "many"},
        "batch_size must be a whole number, got 'many'",
    ),
    "no tokenizer": ({"source": SHAPES, "image_tokenizer": "nowhere"}, "nowhere"),
    "no text": ({"source": SHAPES, "text_tokenizer": "none.json"}, "none.json: text tokenizer not found"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, image_tokenizer, case, capsys):
    options, named = WRONG[case]
    config = tmp_path / "encode.yaml"
    given = {"image_tokenizer": str(image_tokenizer), "out": str(tmp_path / "codes"), "progress": False}
    config.write_text(yaml.safe_dump(given | options))
    with pytest.raises(SystemExit) as stopped:
        main(["--config", str(config)])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and named in said and said.count("\n") == 1


def test_a_config_that_is_no_yaml_mapping_is_named(tmp_path, capsys):
    for content in ("- a\n- b\n", "a: [", "\tx"):
        (tmp_path / "encode.yaml").write_text(content)
        with pytest.raises(SystemExit):
            main(["--config", str(tmp_path / "encode.yaml")])
        assert "encode.yaml: " in capsys.readouterr().err


# ---- the data module from its config


def data_of(config) -> DocumentData:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DocumentData, "data")
    return parser.instantiate_classes(parser.parse_object({"data": config})).data


def test_a_config_trains_from_raw_pictures_and_each_run_has_its_own_text_tokenizer(tmp_path, image_tokenizer):
    codec = {"image_tokenizer": str(image_tokenizer), "image_shape": [6, 6]}
    config = {"train": SHAPES, "val": SHAPES, "codec": codec, "row_length": 128, "batch_size": 4}
    recorder = fit(tmp_path, data_of(config), epochs=1)
    assert len(recorder.seen) == 2
    first = (tmp_path / "tokenizer.json").read_text()
    fit(tmp_path, data_of(config | {"codec": codec | {"text_size": 260}}), epochs=1)
    assert (tmp_path / "tokenizer.json").read_text() != first


def test_a_config_trains_from_a_store_with_the_text_tokenizer_beside_it(tmp_path, image_tokenizer):
    encode(
        tmp_path / "codes", image_tokenizer, "--source", "shapes", "--set", "canvas=48", "--set", "count=6"
    )
    codec = {"image_tokenizer": str(image_tokenizer), "image_shape": [6, 6]}
    stored = str(tmp_path / "codes")
    data = data_of({"train": stored, "val": SHAPES, "codec": codec, "row_length": 128, "batch_size": 4})
    assert len(fit(tmp_path, data, epochs=1).seen) == 2
    assert data.codec.modalities["image"].shape == (6, 6)


@pytest.mark.parametrize(("missing", "named"), [("image_tokenizer", "image_tokenizer must be"),
                                                ("text_tokenizer", "text_tokenizer must be")])  # fmt: skip
def test_a_missing_tokenizer_is_named(image_tokenizer, missing, named):
    codec = {"image_tokenizer": str(image_tokenizer)} | {missing: None}
    with pytest.raises(ValueError, match=named):
        data_of({"train": SHAPES, "val": SHAPES, "codec": codec}).codec  # noqa: B018


def test_any_format_is_encoded_and_its_faults_are_reported(tmp_path, image_tokenizer, capsys):
    write_images(tmp_path / "set", "red", "blue")
    rows = [("red.png", "a red one"), ("gone.png", "gone"), ("blue.png", " "), ("blue.png", "a blue one")]
    lines = "".join(f"{name},{title}\n" for name, title in rows)
    (tmp_path / "set/list.csv").write_text("filepath,title\n" + lines)
    options = ["--source", str(tmp_path / "set"), "--split", "all"]
    store = encode(tmp_path / "codes", image_tokenizer, *options)
    assert len(store) == 2 and "2 documents" in capsys.readouterr().out
    report = json.loads((tmp_path / "codes/data_report.json").read_text())
    assert report["samples"] == 4 and report["reasons"] == {"missing file": 1, "empty caption": 1}
    both = open_source([str(tmp_path / "set"), str(tmp_path / "set/list.csv")], split="all", format="table")
    assert len(both) == 8


def test_too_many_faults_end_an_encoding_in_one_line(tmp_path, image_tokenizer, capsys):
    lines = ("x\n" if i % 5 == 0 else '{"text": "a"}\n' for i in range(1100))
    (tmp_path / "t.jsonl").write_text("".join(lines))
    options = ["--source", str(tmp_path / "t.jsonl"), "--split", "all"]
    with pytest.raises(SystemExit):
        encode(tmp_path / "codes", image_tokenizer, *options)
    said = capsys.readouterr().err.splitlines()[-1]
    assert "more than 10%: 200 not JSON. The first is" in said
    assert json.loads((tmp_path / "codes/data_report.json").read_text())["samples"] == 1000
    assert len(encode(tmp_path / "more", image_tokenizer, *options, "--most-faults", "0.3")) == 880


def test_a_set_that_was_mended_is_encoded_again(tmp_path, image_tokenizer, capsys):
    write_images(tmp_path / "set", "red", "blue")
    for name in ("red", "blue"):
        (tmp_path / f"set/{name}.txt").write_text(f"a {name} one")
    options = ("--source", str(tmp_path / "set"), "--split", "all", "--shard-size", "1")
    encode(tmp_path / "codes", image_tokenizer, *options)
    assert len(encode(tmp_path / "codes", image_tokenizer, *options)) == 2
    assert "2 shards reused" in capsys.readouterr().out
    (tmp_path / "set/red.txt").write_text("a new one")
    store = encode(tmp_path / "codes", image_tokenizer, *options)
    codec = build_codec(image_tokenizer, tmp_path / "codes/tokenizer.json")
    assert [codec.decode(store[i])[0].content for i in range(2)] == ["a blue one", "a new one"]
    assert "1 shards reused" in capsys.readouterr().out


def test_a_given_text_tokenizer_is_in_the_store_before_its_codes(tmp_path, image_tokenizer, monkeypatch):
    options = ("--source", "shapes", "--set", "canvas=48", "--set", "count=6", "--image-shape", "6", "6")
    encode(tmp_path / "first", image_tokenizer, *options)
    given = ("--text-tokenizer", str(tmp_path / "first/tokenizer.json"))
    with monkeypatch.context() as broken:
        broken.setattr("unitok.training.encode.write_store", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(SystemExit):
            encode(tmp_path / "second", image_tokenizer, *options, *given)
    assert (tmp_path / "second/tokenizer.json").is_file()
    assert len(encode(tmp_path / "second", image_tokenizer, *options, *given)) == 6
    encode(tmp_path / "third", image_tokenizer, *options, "--text-size", "259")
    other = ("--text-tokenizer", str(tmp_path / "third/tokenizer.json"))
    with pytest.raises(SystemExit):
        encode(tmp_path / "second", image_tokenizer, *options, *other)


def test_each_picture_may_get_the_nearest_shape_of_one_budget(tmp_path, image_tokenizer):
    for width, height in ((64, 64), (64, 16)):
        Image.new("RGB", (width, height)).save(tmp_path / f"{width}x{height}.png")
        (tmp_path / f"{width}x{height}.txt").write_text("a")
    args = ["--source", str(tmp_path), "--split", "all", "--image-tokenizer", str(image_tokenizer), "--quiet"]
    main([*args, "--out", str(tmp_path / "codes"), "--image-cells", "16"])
    store = Store(tmp_path / "codes", build_codec(image_tokenizer, tmp_path / "codes/tokenizer.json"))
    assert [store[i][1].shape for i in range(2)] == [(2, 8), (4, 4)]
    with pytest.raises(SystemExit):
        main([*args, "--out", str(tmp_path / "no"), "--image-cells", "16", "--image-shape", "4", "4"])
