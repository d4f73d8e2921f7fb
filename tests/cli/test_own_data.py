"""unitok train: from a folder to a model, a verdict and two YAML files."""

import csv
import json

import pytest
from PIL import Image, ImageDraw

from unitok.api.unitok import UniTok
from unitok.atomic_files import write_text
from unitok.cli import own_data
from unitok.cli.commands.encode import main as encode
from unitok.cli.commands.train import main as train
from unitok.cli.yaml_defaults import read_config
from unitok.data.set_facts import DataFacts
from unitok.training.run.course import Course

COLOURS = ("red", "green", "blue", "black")


def test_of_a_set_that_is_read_in_part_different_texts_are_at_least_those(capsys):
    facts = DataFacts(
        documents=24_000, images=24_000, side=64, texts=24_000, distinct_texts=8_000, longest_text=24,
        even=1.0, largest=(1, 1), faults=0.0, leaked=0, held_out=15,
    )  # fmt: skip
    own_data.show_facts("set", facts)
    assert "24,000 texts (at least 8,000 different ones)" in capsys.readouterr().out


def write_set(folder, count: int, *, captions: bool = True) -> None:
    """Discs of four colours, in a csv whose columns have other names, or images alone."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        colour, x = COLOURS[number % 4], 12 + number % 7
        image = Image.new("RGB", (40, 40), "white")
        ImageDraw.Draw(image).ellipse((x - 8, 10, x + 8, 26), fill=colour)
        image.save(folder / f"images/{number:03d}.png")
        rows.append((f"images/{number:03d}.png", f"a {colour} disc"))
    if captions:
        with (folder / "discs.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("file", "what"), *rows])


def test_check_prints_the_proposal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "set", 24)
    encode(["check", "set", "--minutes", "5"])
    out = capsys.readouterr().out
    assert "22 training documents with 22 images and 22 texts (4 different ones), 2 held out" in out
    assert "proposal" in out and "unitok train set --minutes 5  trains this" in out


def test_check_says_why_texts_alone_are_not_trained(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n' * 30)
    encode(["check", "a.jsonl"])
    assert "unitok train: no image to train on" in capsys.readouterr().out


def test_a_person_may_decline(tmp_path, monkeypatch):
    write_set(tmp_path / "set", 24)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    forecast = Course([1, 1], [1.0, 1.0], 1, 5.0)
    monkeypatch.setattr(own_data.OwnData, "try_out", lambda self, proposal: forecast)
    assert own_data.OwnData(str(tmp_path / "set"), tmp_path / "out", 5).run(ask=True) is None
    assert not list((tmp_path / "out").glob("*.yaml"))


@pytest.mark.parametrize("value", ["0", "-3"])
def test_a_run_without_time_is_refused(tmp_path, capsys, value):
    with pytest.raises(SystemExit) as stop:
        train([str(tmp_path), "--minutes", value])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"unitok train: error: --minutes must be above 0, got {value}\n"


@pytest.mark.slow
@pytest.mark.parametrize("captions", [True, False])
def test_a_folder_becomes_a_model_with_a_verdict(tmp_path, capsys, monkeypatch, captions):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "set", 48, captions=captions)
    train(["set", "--minutes", "0.5", "--out", "runs/mine"])
    out, folder = capsys.readouterr().out, tmp_path / "runs/mine"
    assert "forecast: tokenizer " in out and "verdict:  " in out
    report = json.loads((folder / "report.json").read_text())
    assert report["psnr"] > 5 and ("caption_accuracy" in report) == captions
    model = UniTok.from_pretrained(folder / "model", verify=True)
    assert model.draw("a red disc")[0].size == (40, 40)
    figures = {task.name: [figure.name for figure in task.figures] for task in model.tasks}
    assert figures == (
        {"captions": ["caption_accuracy", "told_apart"], "drawings": []} if captions else {"images": []}
    )
    for name in ("tokenizer", "transformer"):
        assert read_config(folder / f"{name}.yaml")["trainer"]["default_root_dir"] == f"runs/mine/{name}"
    assert (folder / "samples.png").is_file() and not list(folder.glob("trial-*"))
    train(["set", "--minutes", "0.5", "--out", "runs/mine"])
    assert "forecast" not in capsys.readouterr().out


def test_settings_of_an_earlier_call_are_kept_but_not_for_another_set(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("discs", "others"):
        write_set(tmp_path / name, 24)
    monkeypatch.setattr(own_data.OwnData, "try_out", lambda *args: Course([9, 9], [1.0, 1.0], 1, 5.0))
    monkeypatch.setattr(
        own_data.Stages, "run", lambda self, stages: write_text(self.out / "report.json", "{}")
    )
    own_data.OwnData("discs", tmp_path / "out", 5).run()
    assert "proposal" in capsys.readouterr().out
    own_data.OwnData("discs", tmp_path / "out", 9).run()
    out = capsys.readouterr().out
    assert "goes on with the settings of an earlier call" in out and "proposal" not in out
    with pytest.raises(ValueError, match="trains on discs, not on others: give another --out"):
        own_data.OwnData("others", tmp_path / "out", 5).run()


def test_what_is_to_be_resumed_must_be_there(tmp_path, capsys):
    write_set(tmp_path / "set", 24)
    with pytest.raises(SystemExit):
        train([str(tmp_path / "set"), "--resume", "--out", str(tmp_path / "none")])
    assert f"nothing to resume in {tmp_path}/none" in capsys.readouterr().err
