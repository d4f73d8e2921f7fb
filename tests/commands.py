"""Checks a command line without running it, by the parser of its script."""

import contextlib
import io
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from unitok.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def header(config: Path) -> str:
    """The command in a config's first line."""
    first = config.read_text().splitlines()[0]
    assert first.startswith("# unitok "), (
        f"{config}: first line must be '# unitok …', the command that runs it, got {first!r}"
    )
    return first.removeprefix("# ")


def check(line: str) -> None:
    """Raises AssertionError if a line names a command, script, config or option that does not exist.

    Scripts with an `arguments()` parse the rest with it. The others use Lightning's command line, which reads
    every config and flag and, with --print_config, stops before it builds anything.
    """
    program, name, *args = shlex.split(line)
    if program.endswith("unitok"):
        assert name in COMMANDS, f"{line}: no command {name}"
        module = f"unitok.cli.{COMMANDS[name].module}"
        args = [*COMMANDS[name].first, *args]
    else:
        assert program.endswith("python") and (ROOT / name).is_file(), f"{line}: no {name}"
        module = ".".join(Path(name).with_suffix("").parts)
    for flag, value in pairwise(args):
        assert flag != "--config" or (ROOT / value).is_file(), f"{line}: no {value}"
    module = import_module(module)
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
