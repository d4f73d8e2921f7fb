"""The demo's stages: each runs once, again after an earlier one, and resumes where it was interrupted."""

import json
from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT
from unitok.cli import demo, stages
from unitok.cli.commands import demo as train_demo
from unitok.cli.demo import Demo


class Paths(Demo):
    """A demo whose stages only touch their products."""

    fails = None

    def __init__(self, folder):
        super().__init__([folder], folder)
        self.did = []
        for name in ALL[:3]:
            (folder / f"{name}.yaml").touch()

    def touch(self, name, product):
        self.did.append(name)
        if self.fails == name:
            raise KeyboardInterrupt
        path = self.out / product
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"psnr": 30.0}))

    def _train_tokenizer(self):
        self.touch("tokenizer", "tokenizer/image_tokenizer")

    def _encode(self):
        self.touch("encode", "codes/index.json")

    def _train_transformer(self):
        self.touch("transformer", "transformer/model")

    def _evaluate(self):
        self.touch("evaluate", "report.json")


ALL = ["tokenizer", "encode", "transformer", "evaluate"]


def test_a_second_call_repeats_nothing(tmp_path):
    first, second = Paths(tmp_path), Paths(tmp_path)
    report = first.run()
    assert first.did == ALL and second.run() == report and second.did == []
    assert list(report.figures)[:2] == ["seconds", "psnr"]
    assert set(report.figures) == {"seconds", "psnr", *(f"seconds_{name}" for name in ALL)}
    assert json.loads((tmp_path / "report.json").read_text()) == report.figures


def test_each_stage_says_what_it_does_how_long_it_takes_and_where_one_looks(tmp_path, capsys):
    paths = Paths(tmp_path)
    for name, budget in (("tokenizer", "00:00:03:20"), ("transformer", "00:01:05:00")):
        (tmp_path / f"{name}.yaml").write_text(f"trainer: {{max_time: {budget}}}")
    paths.run()
    lines = capsys.readouterr().out.splitlines()
    assert [
        f"{number} of 4: {name}" in line for number, name, line in zip("1234", ALL, lines[::2], strict=True)
    ]
    look = tmp_path / "progress.png"
    assert lines[1] == f"learns to turn an image into codes and back, 3:20 min: look at {look}"
    assert lines[3].endswith(f"codes, about a minute: see {tmp_path}/codes")
    assert lines[5] == f"learns to draw and to caption, 1:05:00 min: look at {look}"
    assert lines[7].startswith("judges 500 unseen scenes") and f"see {tmp_path}/samples.png" in lines[7]


def test_every_stage_reads_and_writes_below_out_whatever_the_configs_name(tmp_path, monkeypatch):
    """As with `unitok demo --out runs/second`, whose configs name runs/demo."""
    called = []
    monkeypatch.setattr(demo, "encode", lambda **options: called.append(options))
    monkeypatch.setattr(demo, "run", lambda model, data, args, **rest: called.append(args))
    second = Demo([ROOT / "configs/demo"], tmp_path / "second")
    second._train_tokenizer()
    second._encode()
    second._train_transformer()
    tokenizer, encoding, transformer = called
    assert f"--trainer.default_root_dir={second.out}/tokenizer" in tokenizer
    image_tokenizer = f"{second.out}/tokenizer/image_tokenizer"
    assert (encoding["out"], encoding["image_tokenizer"]) == (f"{second.out}/codes", image_tokenizer)
    assert transformer[-3:] == [
        f"--trainer.default_root_dir={second.out}/transformer",
        f"--data.train={second.out}/codes",
        f"--data.codec.image_tokenizer={image_tokenizer}",
    ]


def test_the_command_ends_by_naming_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "Demo", lambda configs, out, **settings: Paths(out))
    train_demo.main(["--out", str(tmp_path)])
    assert f"unitok page --model {tmp_path}/model" in capsys.readouterr().out.splitlines()[-1]


def test_what_follows_a_missing_product_is_made_again(tmp_path):
    Paths(tmp_path).run()
    (tmp_path / "codes/index.json").unlink()
    again = Paths(tmp_path)
    again.run()
    assert again.did == ALL[1:]


def test_a_stopped_stage_goes_on_and_its_seconds_count(tmp_path, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(stages.time, "monotonic", lambda: next(clock))
    stopped = Paths(tmp_path)
    stopped.fails = "transformer"
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer/last.ckpt").touch()
    again = Paths(tmp_path)
    assert again._fit_args("transformer")[-2:] == ["--ckpt_path", "last"]
    assert "--ckpt_path" not in again._fit_args("tokenizer")
    figures = again.run().figures
    assert again.did == ALL[2:]
    assert figures["seconds_transformer"] == 20 and figures["seconds"] == 50
    assert "--ckpt_path" not in again._fit_args("transformer")


def test_a_config_that_writes_elsewhere_is_told(tmp_path):
    class Elsewhere(Paths):
        def _train_tokenizer(self):
            pass

    with pytest.raises(ValueError, match=r"stage tokenizer did not write .*must write below"):
        Elsewhere(tmp_path).run()


def test_a_folder_without_configs_is_told_before_anything_is_made(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train_demo.main(["--configs", str(tmp_path), "--out", str(tmp_path / "out")])
    assert (
        stop.value.code == 2
        and capsys.readouterr().err == f"unitok demo: error: no tokenizer.yaml in {tmp_path}\n"
    )
    assert not (tmp_path / "out").exists()


SHORT = {"max_time": "00:00:00:20", "val_check_interval": 5}
SMALL = {  # of the demo's configs: enough to run every line, too little to learn
    "tokenizer": {"trainer": SHORT, "data": {"train": 300, "val": 64}},
    "encode": {"settings": {"count": 600}},
    "transformer": {"trainer": SHORT, "model": {"compute": {"compile": False}}},
}


@pytest.mark.slow
def test_the_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    for name, changes in SMALL.items():
        config = yaml.safe_load((ROOT / f"configs/demo/{name}.yaml").read_text())
        for room, values in changes.items():
            for key, value in values.items():
                if isinstance(config[room].get(key), dict) and "init_args" in config[room][key]:
                    config[room][key]["init_args"]["count"] = value
                else:
                    config[room][key] = value
        Path(f"configs/{name}.yaml").write_text(yaml.safe_dump(config))
    train_demo.main(["--configs", "configs", "--out", "runs/second", "--scenes", "8", "--dtype", "float16"])
    report = json.loads(Path("runs/second/report.json").read_text())
    names = {"psnr", "codebook_usage", "reconstruction_accuracy"} | {
        f"{seen}{kind}_accuracy" for seen in ("", "heldout_") for kind in ("caption", "image")
    }
    assert names <= report.keys() and report["seconds"] > 40
    made = {path.name for path in Path("runs/second").iterdir()}
    assert {"report.json", "samples.png", "captions.png", "reconstructions.png", "model"} <= made
    card = Path("runs/second/model/README.md").read_text()
    assert "by `unitok demo --configs configs --out runs/second --dtype float16`" in card
    assert f"| surviving_codes | {report['surviving_codes']:.3f} |" in card
    assert (
        f"caption_accuracy {report['caption_accuracy']:.3f} (8 of shapes, " in card.partition("## Tasks")[2]
    )
    train_demo.main(["--configs", "configs", "--out", "runs/second"])  # shows it again, at once
    assert json.loads(Path("runs/second/report.json").read_text()) == report
