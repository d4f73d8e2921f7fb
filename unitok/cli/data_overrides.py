"""Resolves several data settings on one command line: the last one wins. Knows no source.

The parser merges settings one by one, so `data.path` would stay beside the `data.train` of an earlier config.
Here each config and the flags together are a layer; a layer that names data takes the place of all data that
the layers before it name.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

SOURCES = ("train", "val", "test")
"""What a layer with a path takes away; one with a source takes away the path and its format."""
PATH = ("path", "format")
CONFIG = ("--config", "-c")


class _Flag(NamedTuple):
    """An option of a command line as it stands there: its tokens, its name without dashes, its value."""

    tokens: list[str]
    name: str
    value: str


def replaced(args: Sequence[str], known: Collection[str]) -> list[str]:
    """A command line on which each layer that names data first takes away what the layers before it name.

    Args:
        args: subcommand, configs and flags.
        known: the arguments of the data module.

    Raises:
        ValueError: the flags give a path and sources.
    """
    flags = _flags(args)
    command = next((flag.name for flag in flags if not flag.name.startswith("-")), "fit")
    named = set(_data_flags(flags))
    for own in ("train", "val"):
        if {"path", own} <= named:
            raise ValueError(
                f"give --data.path, or --data.train and --data.val, not both: here are path and {own}"
            )
    result: list[str] = []
    waiting: list[str] = []  # for the subcommand, which alone knows settings of the data
    for flag in flags:
        if flag.name in CONFIG:
            waiting += _taken_away(_named_by(flag.value, command), set(known) - named)
        if command in result:
            result, waiting = result + waiting, []
        result += flag.tokens
    return result + waiting + _taken_away(named, set(known))


def _taken_away(named: set[str], known: set[str]) -> list[str]:
    """Flags that take away what a layer that names these settings replaces."""
    if "path" in named:
        gone = SOURCES
    elif named & {"train", "val"}:
        gone = PATH
    else:
        gone = ()
    return [token for name in gone if name in known - named for token in (f"--data.{name}", "null")]


def configs(args: Sequence[str]) -> list[str]:
    """The files that a command line gives as configs, in their order."""
    return [flag.value for flag in _flags(args) if flag.name in CONFIG and _is_file(flag.value)]


def _is_file(config: str) -> bool:
    """Whether a config is a file, and not YAML itself."""
    try:
        return Path(config).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False


def flagged(args: Sequence[str]) -> set[str]:
    """Names of the settings that flags give, such as data.path."""
    return {flag.name.removeprefix("--").rstrip("+") for flag in _flags(args) if flag.name.startswith("--")}


def _flags(args: Sequence[str]) -> list[_Flag]:
    """The options in their order; a word that is no option and no value stands alone."""
    flags: list[_Flag] = []
    rest = list(args)
    while rest:
        token = rest.pop(0)
        name, equals, value = token.partition("=")
        if not token.startswith("-") or equals or not rest or rest[0].startswith("--"):
            flags.append(_Flag([token], name, value))
        else:
            value = rest.pop(0)
            flags.append(_Flag([token, value], name, value))
    return flags


def _data_flags(flags: Sequence[_Flag]) -> Iterator[str]:
    """Names of settings of the data that the flags give."""
    for flag in flags:
        if flag.value == "null":
            continue
        if flag.name == "--data":
            yield from _given(flag.value)
        elif flag.name.startswith("--data."):
            yield flag.name.removeprefix("--data.").split(".")[0].rstrip("+")


def _named_by(config: str, command: str) -> set[str]:
    """Names of settings of the data that a config gives, a file or YAML itself."""
    values = _loaded(config)
    inner = values.get(command)
    return _given(values.get("data")) | _given(inner.get("data") if isinstance(inner, Mapping) else None)


def _given(data: Any) -> set[str]:
    """Names of what is not null among settings of the data; a text is a file of them."""
    values = data if isinstance(data, Mapping) else _loaded(data) if isinstance(data, str) else {}
    return {name for name, value in values.items() if value is not None}


def _loaded(config: str) -> Mapping[str, Any]:
    """A config's mapping; empty where the parser will find that it is none."""
    try:
        file = Path(config)
        values = yaml.safe_load(file.read_bytes() if file.is_file() else config)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, Mapping) else {}
