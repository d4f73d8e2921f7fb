"""Errors that the user can mend are one line; all others stay what they are."""

import argparse

import pytest

from unitok.terminal import Parser, Setting, command, plain_errors, printable


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
