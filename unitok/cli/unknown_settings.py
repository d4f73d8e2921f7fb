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
def in_plain_words(files: Sequence[str] = (), known: Collection[str] = ()) -> Iterator[None]:
    """Errors of the parser as one that says what is wrong, where, and what was perhaps meant.

    Args:
        files: the configs that were given, in their order.
        known: the settings that there are, by dotted names.
    """
    try:
        yield
    except (ValueError, ArgumentError) as error:
        message = " ".join(str(error).split())
        unknown, missing = UNKNOWN.search(message), NO_VALUE.search(message)
        if unknown:
            raise ValueError(_unknown(unknown[1] or unknown[2], files, known)) from error
        if missing and known:
            message += f" (one that begins with - is given as {missing[1]}=-…)"
        raise ValueError(UNION.sub(_reasons, message)) from error


def _unknown(name: str, files: Sequence[str], known: Collection[str]) -> str:
    """That a setting is unknown, the config that has it, and the setting that is most like it."""
    name = name.removeprefix("fit.")
    file = next((f"{file}: " for file in reversed(files) if _has(read_config(file), name.split("."))), "")
    last = {full.rpartition(".")[2]: full for full in sorted(known, reverse=True)}
    close = get_close_matches(name, known, 1, 0.8) or get_close_matches(name.rpartition(".")[2], last, 1, 0.8)
    hint = f"did you mean {last.get(close[0], close[0])}?" if close else "fit --help lists all"
    return f"{file}unknown setting {name}; {hint}"


def _has(values: Any, parts: Sequence[str]) -> bool:
    """Whether nested settings have one of that name, also below their subcommand."""
    if not isinstance(values, Mapping):
        return not parts
    here = not parts or (parts[0] in values and _has(values[parts[0]], parts[1:]))
    return here or _has(values.get("fit"), parts)


def _reasons(union: re.Match) -> str:
    """Why a value is none of several kinds: what its own class says, else what was expected."""
    reasons = re.split(r"(?:^| )- ", union[1])[1:]
    own = [reason for reason in reasons if not reason.startswith("Expected a ")]
    value = union[2].partition("Given value: ")[2]
    return "; ".join(own) if own else f"{'; '.join(reasons)}; got {value:.80}"
