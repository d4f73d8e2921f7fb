"""Checks a command line without running it, by the parser of its script."""

import contextlib
import io
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]


def check(line: str) -> None:
    """Raises AssertionError if a command names a script, a config or an option that does not exist.

    Scripts with an `arguments()` parse the rest with it. The others use Lightning's command line, which reads
    every config and flag and, with --print_config, stops before it builds anything.
    """
    program, script, *args = shlex.split(line)
    assert program.endswith("python"), line
    assert (ROOT / script).is_file(), f"{line}: no {script}"
    for flag, value in pairwise(args):
        assert flag != "--config" or (ROOT / value).is_file(), f"{line}: no {value}"
    module = import_module(".".join(Path(script).with_suffix("").parts))
    code, output = None, io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            if hasattr(module, "arguments"):
                _parse(module.arguments(), args)
            else:
                module.main([*args, "--print_config"])
        except SystemExit as error:
            code = error.code
    assert not code, f"{line}: {output.getvalue()}"


def _parse(parser, args: list[str]) -> None:
    if "--config" in args:
        from unitok.cli.yaml_defaults import parse_with_config

        parse_with_config(parser, args)
    else:
        parser.parse_args(args)
