"""Checks a command line without carrying it out: by the script's own parser."""

import contextlib
import io
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]


def check(line: str) -> None:
    """Raises AssertionError where a command names a script, a config or an option that is not there.

    Scripts with an `arguments()` parse the rest with it; the others are Lightning's, which read every config
    and flag and, by --print_config, stop before anything is made.
    """
    program, script, *args = shlex.split(line)
    assert program.endswith("python"), line
    assert (ROOT / script).is_file(), f"{line}: no {script}"
    for flag, value in pairwise(args):
        assert flag != "--config" or (ROOT / value).is_file(), f"{line}: no {value}"
    module = import_module(".".join(Path(script).with_suffix("").parts))
    stop, said = None, io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            if hasattr(module, "arguments"):
                _parse(module.arguments(), args)
            else:
                module.main([*args, "--print_config"])
        except SystemExit as error:
            stop = error.code
    assert not stop, f"{line}: {said.getvalue()}"


def _parse(parser, args: list[str]) -> None:
    if "--config" in args:
        from unitok.cli.yaml_defaults import parse_with_config

        parse_with_config(parser, args)
    else:
        parser.parse_args(args)
