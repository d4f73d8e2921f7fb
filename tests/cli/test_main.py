"""`unitok` lists its commands, runs each with the rest of the line, and suggests the nearest command."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from tests.commands import ROOT
from tests.tiny_model import tiny_model
from unitok.cli.main import COMMANDS, main


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


def test_output_that_nobody_reads_is_no_error():
    command = f"{sys.executable} -m unitok configs | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.count("\n") == 1 and not done.stderr


def test_every_command_is_a_module_with_a_main():
    for command in COMMANDS.values():
        assert callable(import_module(f"unitok.cli.{command.module}").main)


@pytest.mark.skipif(os.name != "posix", reason="a shell's pipe")
def test_a_closed_pipe_ends_the_overview_without_a_word():
    """`unitok --help | true`: whoever reads has gone before anything is written."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "unitok", "--help"]
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
