"""Error messages and printable text, shared by all command lines. Knows no command."""

import argparse
import io
import json
import locale
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A command line whose help tells the defaults and whose errors take one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=_Defaults, **options)

    def add_model(self) -> None:
        """Options of every script that runs a model; `how_to_run` has what they say."""
        self.add_argument("--model", default="runs/demo/model", metavar="DIR", help="model folder")
        self.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
        self.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")
        self.add_argument("--compile", action="store_true",
            help="compiled steps: half a minute for each new number of rows, faster then")  # fmt: skip

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Says nothing about a default of None."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class Setting(argparse.Action):
    """Collects NAME=VALUE, the value as JSON where it is some; may be repeated."""

    def __call__(self, parser, namespace, values, option_string=None):
        name, equals, value = values.partition("=")
        if not (name and equals):
            parser.error(f"argument {option_string}: {values!r} is not NAME=VALUE")
        with suppress(json.JSONDecodeError):  # then it is an ordinary string
            value = json.loads(value)
        setattr(namespace, self.dest, (getattr(namespace, self.dest) or {}) | {name: value})


def how_to_run(options: argparse.Namespace) -> dict[str, Any]:
    """Where and how the model that the options name runs, as UniTok.from_pretrained takes it."""
    return {name: getattr(options, name) for name in ("device", "dtype", "compile")}


def speak_any_language() -> None:
    """Let files of text be UTF-8 and a terminal show what it can, whatever the surroundings are set to."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not locale.getpreferredencoding(False).lower().startswith("utf"):
        with suppress(locale.Error):  # libraries of others open files by it: configs, logs
            locale.setlocale(locale.LC_CTYPE, "C.UTF-8")


def as_json(value: Any) -> str:
    """A value as JSON, in letters that the terminal has."""
    speaks_all = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    return json.dumps(value, indent=2, ensure_ascii=not speaks_all)


@contextmanager
def plain_errors(program: str) -> Iterator[None]:
    """Turn errors about files and values into one line on stderr and exit code 2, Ctrl-C into code 130."""
    speak_any_language()
    try:
        yield
    except (ValueError, OSError, argparse.ArgumentError) as error:
        message = " ".join(str(error).split())
        sys.exit(_fail(f"{program}: error: {message}", 2))
    except KeyboardInterrupt:
        sys.exit(_fail(f"{program}: interrupted", 130))


def _fail(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code


def printable(text: str) -> str:
    """`text` with control characters, which could steer a terminal, replaced by U+FFFD."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\ufffd" for c in text)


def command(program: str) -> Callable[[Callable], Callable]:
    """Decorate a script's `main` with `plain_errors`."""

    def decorate(main: Callable) -> Callable:
        @wraps(main)
        def run(args: list[str] | None = None):
            with plain_errors(program):
                return main(args)

        return run

    return decorate
