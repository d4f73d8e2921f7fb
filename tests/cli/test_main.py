"""`unitok` lists its commands, runs each with the rest of the line, and suggests the nearest command."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

from tests.commands import ROOT
from tests.tiny_model import tiny_model
from unitok.cli.main import COMMANDS, main
from unitok.cli.packaged_configs import folder


def test_the_overview_lists_every_command(capsys):
    main(["--help"])
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")] == list(COMMANDS)
    main([])
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        if main([name, "--help"]) is None:
            raise SystemExit(0)
    assert not stopped.value.code
    assert capsys.readouterr().out.startswith("usage: ")


def test_an_unknown_command_is_one_line_with_the_nearest_one(capsys):
    assert main(["drwa"]) == 2
    assert capsys.readouterr().err == "unitok: error: unknown command 'drwa'; did you mean draw?\n"
    assert main(["xyz"]) == 2
    assert "unitok --help lists the commands" in capsys.readouterr().err


def test_the_module_runs_as_the_command_does():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "unitok", "--version"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("unitok ") and " torch" not in done.stderr


def test_arguments_reach_the_command(tmp_path, capsys):
    tiny_model().save_pretrained(tmp_path / "model")
    main(["draw", "--model", f"{tmp_path}/model", "--prompt", "a", "--n", "2", "--out", f"{tmp_path}/drawn"])
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 3
    assert "sheet.png" in capsys.readouterr().out


def test_info_tells_what_a_folder_holds(tmp_path, capsys):
    model = tiny_model()
    model.save_pretrained(tmp_path / "model")
    card = tmp_path / "model/README.md"
    card.write_text(
        card.read_text() + "\n## Measured\n\nOn 3 images.\n\n| figure | value |\n|---|---|\n| psnr | 40.1 |\n"
    )
    main(["info", f"{tmp_path}/model"])
    text = capsys.readouterr().out
    assert f"{model.model.parameter_count:,} parameters" in text
    assert "2 x 3 codes" in text and "On 3 images.\npsnr  40.1\n" in text


@pytest.mark.parametrize("content", [None, "{}", "[]", "{", json.dumps({"transformer": 3})])
def test_info_names_a_folder_that_is_no_model(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(SystemExit) as stopped:
        main(["info", str(tmp_path)])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and str(tmp_path) in error and len(error.splitlines()) == 1


def test_env_prints_versions_and_hardware(capsys):
    main(["env"])
    text = capsys.readouterr().out
    assert {"python", "torch", "CPU", "bf16-mixed"} <= {line.split()[0] for line in text.splitlines()}


def test_configs_are_listed_and_copied_and_nothing_is_overwritten(tmp_path, capsys):
    main(["configs"])
    text = capsys.readouterr().out
    assert "tokenizer/tiny.yaml" in text and "demo/encode.yaml" in text
    main(["configs", "demo/", "--copy", f"{tmp_path}/mine"])
    copied = sorted(str(path.relative_to(tmp_path / "mine")) for path in tmp_path.rglob("*.yaml"))
    assert copied == ["demo/encode.yaml", "demo/tokenizer.yaml", "demo/transformer.yaml"]
    assert (tmp_path / "mine/demo/encode.yaml").read_bytes() == (folder() / "demo/encode.yaml").read_bytes()
    main(["configs", "demo/", "--copy", f"{tmp_path}/mine"])
    (tmp_path / "mine/demo/encode.yaml").write_text("source: mine\n")
    with pytest.raises(SystemExit):
        main(["configs", "demo/", "--copy", f"{tmp_path}/mine"])
    assert (tmp_path / "mine/demo/encode.yaml").read_text() == "source: mine\n"
    with pytest.raises(SystemExit):
        main(["configs", "nope"])


def test_output_that_nobody_reads_is_no_error():
    command = f"{sys.executable} -m unitok configs | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.count("\n") == 1 and not done.stderr


def test_every_command_is_a_module_with_a_main():
    for command in COMMANDS.values():
        assert callable(import_module(f"unitok.cli.{command.module}").main)
