"""A YAML file as the defaults of an argparse command line. Knows no option by name."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from unitok.cli.packaged_configs import locate


def parse_with_config(
    parser: argparse.ArgumentParser, args: Sequence[str] | None, *, required: Sequence[str] = ()
) -> argparse.Namespace:
    """Parse a command line whose `--config` names a YAML file of the same options; flags override the file.

    Raises:
        ValueError: the file is not a YAML mapping or has an unknown option, or a required option is missing.
    """
    path = parser.parse_args(args).config
    if path is not None:
        path = locate(path)
        values = read_config(path)
        actions = {a.dest: a for a in parser._actions if a.dest not in ("help", "config")}
        for name, value in values.items():
            if name not in actions:
                close = get_close_matches(str(name), actions, 1)
                hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(actions)}"
                raise ValueError(f"{path}: unknown option {name!r}; {hint}")
            _check(actions[name], value, path)
        parser.set_defaults(**values)
    options = parser.parse_args(args)
    del options.config
    for name in required:
        if getattr(options, name) is None:
            raise ValueError(f"--{name.replace('_', '-')} is missing")
    return options


def _check(action: argparse.Action, value: Any, path: str | Path) -> None:
    """Raises ValueError unless an option of whole numbers has as many as it takes."""
    if action.type is not int or value is None:
        return
    numbers = value if isinstance(action.nargs, int) and isinstance(value, list) else [value]
    if len(numbers) != (action.nargs or 1) or not all(type(number) is int for number in numbers):
        expected = f"{action.nargs} whole numbers" if action.nargs else "a whole number"
        raise ValueError(f"{path}: {action.dest} must be {expected}, got {value!r}")


class _UniqueKeyLoader(yaml.SafeLoader):
    """Rejects duplicate keys in a mapping, of which YAML would drop a value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = set()
        for key, _ in node.value:
            if key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key.value}", problem_mark=key.start_mark)
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def read_config(path: str | Path) -> dict[str, Any]:
    """Reads a YAML file's mapping.

    Raises:
        ValueError: the file is not a mapping, is empty, or has a duplicate key.
    """
    try:
        values = yaml.load(Path(path).read_bytes(), _UniqueKeyLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}:{_describe(error)}") from error
    if values is None:
        raise ValueError(f"{path}: no settings in it")
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected options with values, got {type(values).__name__}")
    return values


def _describe(error: Exception) -> str:
    """The line of a YAML error, and its reason."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    hint = ": indent with spaces, not tabs" if "'\\t'" in problem else ""
    line = f" line {mark.line + 1}:" if mark else ""
    return f"{line} not readable as YAML ({problem}{hint})"
