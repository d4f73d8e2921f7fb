"""Error messages and printable text, shared by all command lines. Knows no command."""

import argparse
import io
import json
import locale
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

OWN_MODEL, BUNDLED = "runs/demo/model", "bundled"
"""The folder that `unitok demo` writes, and the name of the model inside the package."""
MODEL_HELP = f"model folder; left out, {OWN_MODEL} or, where that is absent, the model inside the package"


def default_model() -> str:
    """The model of a command that names none."""
    return OWN_MODEL if Path(OWN_MODEL).is_dir() else BUNDLED


class Parser(argparse.ArgumentParser):
    """An argument parser whose help shows defaults and whose errors take one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=_Defaults, **options)

    def add_model(self) -> None:
        """Add the options of every script that runs a model; `run_options` collects their values."""
        self.add_argument("--model", default=default_model(), metavar="DIR", help=MODEL_HELP)
        self.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
        self.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")
        self.add_argument("--compile", action="store_true",
            help="compile decoding steps: half a minute for each new batch size, then faster")  # fmt: skip
        self.add_import()

    def add_import(self) -> None:
        """Add the option that imports modules of the user's, since no model's folder may import one."""
        self.add_argument("--import", dest="imports", action=_Import, metavar="MODULE",
            help="module to import first, for a modality that it defines; may be repeated")  # fmt: skip

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Does not mention a default of None; keeps the lines of a text of several."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class _Import(argparse.Action):
    """Imports a module as soon as it is named."""

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            import_module(values)
        except ImportError as error:
            parser.error(f"argument {option_string}: {error}")


class Setting(argparse.Action):
    """Collects repeated NAME=VALUE options into a dict; values are parsed as JSON where possible."""

    def __call__(self, parser, namespace, values, option_string=None):
        name, equals, value = values.partition("=")
        if not (name and equals):
            parser.error(f"argument {option_string}: must be NAME=VALUE, got {values!r}")
        with suppress(json.JSONDecodeError):  # else it is a plain string
            value = json.loads(value)
        setattr(namespace, self.dest, (getattr(namespace, self.dest) or {}) | {name: value})


def run_options(options: argparse.Namespace) -> dict[str, Any]:
    """Returns device, dtype and compile as keyword arguments for UniTok.from_pretrained.

    One line on stderr tells if it opens the bundled model.
    """
    if options.model == BUNDLED:
        print(f"model: {BUNDLED} with the package (unitok demo trains {OWN_MODEL})", file=sys.stderr)
    return {name: getattr(options, name) for name in ("device", "dtype", "compile")}


def use_utf8() -> None:
    """Make UTF-8 the encoding of text files, and escape characters that the terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not locale.getpreferredencoding(False).lower().startswith("utf"):
        with suppress(locale.Error):  # third-party libraries open configs and logs by it
            locale.setlocale(locale.LC_CTYPE, "C.UTF-8")


def as_json(value: Any) -> str:
    """Format a value as JSON, in ASCII where the terminal is not UTF-8."""
    is_utf = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    return json.dumps(value, indent=2, ensure_ascii=not is_utf)


@contextmanager
def plain_errors(program: str) -> Iterator[None]:
    """Turn errors about files and values into one line on stderr and exit code 2, Ctrl-C into code 130."""
    use_utf8()
    try:
        yield
    except BrokenPipeError:  # whoever reads the output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(141)
    except (ValueError, OSError, argparse.ArgumentError) as error:
        message = " ".join(str(error).split())
        sys.exit(_fail(f"{program}: error: {message}", 2))
    except KeyboardInterrupt:
        sys.exit(_fail(f"{program}: interrupted", 130))


def warn(line: str | None) -> None:
    """Print one line about something that may surprise, if there is one, on stderr."""
    if line is not None:
        print(f"warning: {printable(' '.join(line.split()))}", file=sys.stderr)


def _fail(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code


def printable(text: str) -> str:
    """Replace control characters, which could control a terminal, by U+FFFD."""
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
