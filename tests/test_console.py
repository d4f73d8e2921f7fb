"""Errors that the user can mend are one line; all others stay what they are."""

import argparse
import io
import json
import locale
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from unitok.console import (
    BUNDLED,
    OWN_MODEL,
    Parser,
    Setting,
    as_json,
    command,
    plain_errors,
    printable,
    run_options,
)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("n is 1 or more,\n not 0"),
        FileNotFoundError(2, "No such file or directory", "a.png"),
        argparse.ArgumentError(None, "unknown option 'lrr'"),
    ],
)
def test_what_the_user_can_mend_is_one_line(capsys, error):
    with pytest.raises(SystemExit) as stop, plain_errors("prog"):
        raise error
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith("prog: error: ") and said.count("\n") == 1


def test_bugs_keep_their_traceback():
    with pytest.raises(KeyError), plain_errors("prog"):
        raise KeyError("bug")


def test_ctrl_c_has_its_own_code(capsys):
    @command("prog")
    def main(args=None):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 130 and capsys.readouterr().err == "prog: interrupted\n"


def parser():
    made = Parser(prog="prog")
    made.add_argument("--n", type=int, default=3, help="how many")
    made.add_argument("--top-k", type=int, help="none is all")
    made.add_argument("--where", action=Setting, metavar="NAME=VALUE", help="filter")
    return made


def test_a_model_that_is_not_named_is_ones_own_else_the_bundled_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def model(*args: str) -> str:
        made = Parser(prog="prog")
        made.add_model()
        options = made.parse_args(args)
        run_options(options)
        return options.model

    assert model("--model", OWN_MODEL) == OWN_MODEL and not capsys.readouterr().err
    assert model() == BUNDLED
    assert capsys.readouterr().err == "model: bundled with the package (unitok demo trains runs/demo/model)\n"
    Path(OWN_MODEL).mkdir(parents=True)
    assert model() == OWN_MODEL and not capsys.readouterr().err


def test_help_tells_defaults_but_not_none():
    text = parser().format_help()
    assert "how many (default: 3)" in text and "None" not in text


@pytest.mark.parametrize("line", ["--n many", "--m 3", "--where x", "--where =3", "--n"])
def test_wrong_options_are_one_line(capsys, line):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(line.split())
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith("prog: error: ") and said.count("\n") == 1


def test_settings_are_json_or_words():
    where = parser().parse_args(["--where", "a=1", "--where", "b=x=y", "--where", "c=[]"]).where
    assert where == {"a": 1, "b": "x=y", "c": []}
    assert parser().parse_args([]).where is None


def test_control_characters_are_not_printed():
    assert printable("a\x1b[31m\tb\n\x00ü\x9b") == "a\ufffd[31m\tb\n\ufffdü\ufffd"


ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path for folder in ("train", "sample") for path in (ROOT / folder).glob("[a-z]*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_help_is_shown_by_a_terminal_with_few_letters(path):
    few = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, cwd=ROOT, env=few)
    assert done.returncode == 0, done.stderr
    assert b"usage: " in done.stdout


def shown(by: str, call) -> str:
    """What a call prints, as a terminal of a few letters gets it."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, by, errors="strict")
    with redirect_stdout(stream):
        call()
    stream.flush()
    return written.getvalue().decode(by)


FEW_LETTERS = pytest.mark.parametrize("by", ["ascii", "latin-1", "cp437", "cp1252"])


@FEW_LETTERS
def test_what_a_terminal_cannot_show_does_not_end_a_command(by):
    main = command("prog")(lambda args: print("a 星 … × é \udce9"))
    assert shown(by, lambda: main([])).startswith("a \\u661f ")


@FEW_LETTERS
def test_json_for_any_terminal_is_json(by):
    value = {"é×": ["星", "\U0001f600"]}
    assert json.loads(shown(by, lambda: print(as_json(value)))) == value


def test_json_is_legible_where_it_can_be(capsys):
    assert "星" in as_json("星")


@pytest.fixture
def plain_c():
    """Files are opened as ASCII by those who do not say otherwise."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    yield
    locale.setlocale(locale.LC_CTYPE, before)


@pytest.mark.skipif(sys.flags.utf8_mode, reason="this Python reads UTF-8 in any locale")
def test_libraries_open_files_as_utf_8_within_a_command(plain_c, tmp_path):
    @command("prog")
    def main(args=None):
        with open(tmp_path / "config.yaml", "w") as file:  # as configs and logs of others are
            file.write("星…")

    main([])
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == "星…"
