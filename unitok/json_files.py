"""Reads JSON files and builds dataclasses from them; errors name the file and key. Looks up no class."""

import json
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")


def read_object(path: str | Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it holds something else.
    """
    return parse_object(Path(path).read_bytes(), source=path)


def parse_object(text: bytes | str, *, source: str | Path) -> dict[str, Any]:
    """The object that a JSON text holds. Raises ValueError naming its source where it is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: not readable as JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{source}: got {type(values).__name__}, expected an object")
    return values


def made_of(kind: type[Kind], values: Any) -> Kind:
    """A dataclass of an object with its fields; lists become tuples.

    Raises:
        ValueError: a field is missing, unknown or of another type, or the dataclass refuses its value.
    """
    if not isinstance(values, dict):
        raise ValueError(f"got {type(values).__name__}, expected an object with {_listed(kind)}")
    known = {field.name: field.default is MISSING for field in fields(kind)}
    if odd := sorted(set(values) - set(known)):
        raise ValueError(f"{', '.join(odd)} is unknown; {kind.__name__} has {_listed(kind)}")
    if missing := [name for name, needed in known.items() if needed and name not in values]:
        raise ValueError(f"{', '.join(missing)} is missing")
    values = {name: _frozen(value) for name, value in values.items()}
    check_types(values, get_type_hints(kind))
    return kind(**values)


def check_types(values: dict[str, Any], hints: dict[str, Any]) -> None:
    """Raises ValueError naming the first of some values by name that is not of the type of that name."""
    for name, value in values.items():
        if not _fits(value, hints[name]):
            wanted = getattr(hints[name], "__name__", str(hints[name]))
            raise ValueError(f"{name} must be {wanted}, got {value!r:.80}")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _listed(kind: type) -> str:
    return ", ".join(field.name for field in fields(kind))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotation's type; a whole number is one with a fraction too, no flag is."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        return isinstance(value, tuple) and _all_fit(value, inner)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    return value is None if hint is NoneType else type(value) is hint or _is_a(value, hint)


def _all_fit(values: tuple, hints: tuple) -> bool:
    wanted: Iterable = hints[:1] * len(values) if hints[1:] == (...,) else hints
    return len(values) == len(tuple(wanted)) and all(map(_fits, values, wanted))


def _is_a(value: Any, hint: Any) -> bool:
    return isinstance(hint, type) and hint not in (int, bool) and isinstance(value, hint)
