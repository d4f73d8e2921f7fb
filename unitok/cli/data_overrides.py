"""Resolves several data settings on one command line: the last one wins. Knows no source.

The parser merges settings one by one, so a config's `data.path` would stay beside the `data.train` of an
earlier one. Here each config is a layer, as are all flags together; a layer that names data replaces all data
named by the layers before it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

SOURCES = ("train", "val", "test")
"""Removed by a layer that names a path; a layer that names a source removes the path and its format."""
PATH = ("path", "format")
CONFIG = ("--config", "-c")


class _Flag(NamedTuple):
    """An option on a command line: its tokens, its name with dashes, its value."""

    tokens: list[str]
    name: str
    value: str


def resolve_data_overrides(args: Sequence[str], known: Collection[str]) -> list[str]:
    """Returns a command line on which each layer that names data first unsets the data named before it.

    Args:
        args: subcommand, configs and flags.
        known: the arguments of the data module.

    Raises:
        ValueError: the flags give both a path and sources.
    """
    flags = _parse_flags(args)
    command = next((flag.name for flag in flags if not flag.name.startswith("-")), "fit")
    named = set(_data_settings(flags))
    for source in ("train", "val"):
        if {"path", source} <= named:
            raise ValueError(
                f"give --data.path, or --data.train and --data.val, not both: got path and {source}"
            )
    result: list[str] = []
    pending: list[str] = []  # must follow the subcommand, whose parser alone knows data settings
    for flag in flags:
        if flag.name in CONFIG:
            pending += _unset_flags(_settings_in_config(flag.value, command), set(known) - named)
        if command in result:
            result, pending = result + pending, []
        result += flag.tokens
    return result + pending + _unset_flags(named, set(known))


def _unset_flags(named: set[str], known: set[str]) -> list[str]:
    """Flags that unset the settings which a layer that names `named` replaces."""
    if "path" in named:
        unset = SOURCES
    elif named & {"train", "val"}:
        unset = PATH
    else:
        unset = ()
    return [token for name in unset if name in known - named for token in (f"--data.{name}", "null")]


def config_files(args: Sequence[str]) -> list[str]:
    """The config files of a command line, in order."""
    return [flag.value for flag in _parse_flags(args) if flag.name in CONFIG and _is_file(flag.value)]


def _is_file(config: str) -> bool:
    """Whether a config is a file rather than inline YAML."""
    try:
        return Path(config).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False


def flags(args: Sequence[str]) -> dict[str, str]:
    """The settings given by flags, such as data.path, with their last values."""
    given = (flag for flag in _parse_flags(args) if flag.name.startswith("--"))
    return {flag.name.removeprefix("--").rstrip("+"): flag.value for flag in given}


def _parse_flags(args: Sequence[str]) -> list[_Flag]:
    """The options in order; a word that is neither an option nor a value is an option of its own."""
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


def _data_settings(flags: Sequence[_Flag]) -> Iterator[str]:
    """Names of the data settings given by flags."""
    for flag in flags:
        if flag.value == "null":
            continue
        if flag.name == "--data":
            yield from _non_null(flag.value)
        elif flag.name.startswith("--data."):
            yield flag.name.removeprefix("--data.").split(".")[0].rstrip("+")


def _settings_in_config(config: str, command: str) -> set[str]:
    """Names of the data settings in a config, which is a file or inline YAML."""
    values = _load_config(config)
    inner = values.get(command)
    return _non_null(values.get("data")) | _non_null(
        inner.get("data") if isinstance(inner, Mapping) else None
    )


def _non_null(data: Any) -> set[str]:
    """Names of data settings that are not null; `data` is a mapping or a file of one."""
    values = data if isinstance(data, Mapping) else _load_config(data) if isinstance(data, str) else {}
    return {name for name, value in values.items() if value is not None}


def _load_config(config: str) -> Mapping[str, Any]:
    """A config's mapping; empty if it is invalid, which the parser will report."""
    try:
        file = Path(config)
        values = yaml.safe_load(file.read_bytes() if file.is_file() else config)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, Mapping) else {}
