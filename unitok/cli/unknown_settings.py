"""Errors for unknown settings, with the nearest known one. Knows no setting by name."""

import re
from argparse import ArgumentError
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from unitok.cli.yaml_defaults import read_config

UNKNOWN = re.compile(r"does not accept option '([^']+)'|unrecognized arguments: --([\w.+]+)")
UNION = re.compile(
    r"Does not validate against any of the Union subtypes.* Errors: (.*?) Given value type: (.*)"
)
NO_VALUE = re.compile(r"argument (--[\w.+]+)\S*: expected one argument")


@contextmanager
def clear_parser_errors(files: Sequence[str] = (), known: Collection[str] = ()) -> Iterator[None]:
    """Turn the parser's errors into a ValueError that names the setting, its config and the nearest setting.

    Args:
        files: the config files of the command line, in order.
        known: dotted names of all settings.
    """
    try:
        yield
    except (ValueError, ArgumentError) as error:
        message = " ".join(str(error).split())
        unknown, missing = UNKNOWN.search(message), NO_VALUE.search(message)
        if unknown:
            raise ValueError(_unknown_setting(unknown[1] or unknown[2], files, known)) from error
        if missing and known:
            message += f" (write a value that begins with - as {missing[1]}=-…)"
        raise ValueError(UNION.sub(_reasons, message)) from error


def _unknown_setting(name: str, files: Sequence[str], known: Collection[str]) -> str:
    """The message for an unknown setting: the config that has it, and the most similar known setting."""
    name = name.removeprefix("fit.")
    file = next((f"{file}: " for file in reversed(files) if _has(read_config(file), name.split("."))), "")
    by_last_part = {full.rpartition(".")[2]: full for full in sorted(known, reverse=True)}
    close = get_close_matches(name, known, 1, 0.8)
    close = close or get_close_matches(name.rpartition(".")[2], by_last_part, 1, 0.8)
    hint = f"did you mean {by_last_part.get(close[0], close[0])}?" if close else "fit --help lists all"
    return f"{file}unknown setting {name}; {hint}"


def _has(values: Any, parts: Sequence[str]) -> bool:
    """Whether nested settings contain a dotted name, possibly below their subcommand."""
    if not isinstance(values, Mapping):
        return not parts
    here = not parts or (parts[0] in values and _has(values[parts[0]], parts[1:]))
    return here or _has(values.get("fit"), parts)


def _reasons(union: re.Match) -> str:
    """Why a value matches no type of a union: its own class's reasons, else the expected types."""
    reasons = re.split(r"(?:^| )- ", union[1])[1:]
    from_class = [reason for reason in reasons if not reason.startswith("Expected a ")]
    value = union[2].partition("Given value: ")[2]
    return "; ".join(from_class) if from_class else f"{'; '.join(reasons)}; got {value:.80}"
