"""Reads JSON files and builds dataclasses from them; errors name the file and key. Looks up no class."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, field, fields
from inspect import Parameter, signature
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")


def read_object(path: str | Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it holds something else.
    """
    return parse_object(Path(path).read_bytes(), source=path)


def parse_object(text: bytes | str, *, source: str | Path) -> dict[str, Any]:
    """Parses a JSON text that holds an object. Raises ValueError with its source if it does not."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: not readable as JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{source}: must hold an object, got {type(values).__name__}")
    return values


def build_dataclass(kind: type[Kind], values: Any) -> Kind:
    """Builds a dataclass from a JSON object with its fields; lists become tuples.

    Raises:
        ValueError: a field is missing, unknown or of another type, or the dataclass refuses its value.
    """
    if not isinstance(values, dict):
        raise ValueError(f"must be an object with {_field_names(kind)}, got {type(values).__name__}")
    required = {field.name: field.default is MISSING for field in fields(kind)}
    return _build(kind, values, required, get_type_hints(kind))


def build_instance(kind: type[Kind], values: Any) -> Kind:
    """Builds an instance of any class from a JSON object with its arguments; lists become tuples.

    Raises:
        ValueError: an argument is missing, unknown or of another type than its annotation, or the class
            refuses its value.
    """
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    parameters = [one for one in signature(kind).parameters.values() if one.kind in named]
    required = {parameter.name: parameter.default is Parameter.empty for parameter in parameters}
    if not isinstance(values, dict):
        raise ValueError(f"must be an object with {', '.join(required)}, got {type(values).__name__}")
    return _build(kind, values, required, get_type_hints(kind.__init__))


def _build(
    kind: type[Kind], values: dict[str, Any], required: dict[str, bool], hints: dict[str, Any]
) -> Kind:
    """Calls a class with JSON values; `required` tells of each of its arguments whether it must be given."""
    if unknown := sorted(set(values) - set(required)):
        raise ValueError(f"unknown {', '.join(unknown)}; {kind.__name__} has {', '.join(required)}")
    if missing := [name for name, is_required in required.items() if is_required and name not in values]:
        raise ValueError(f"missing {', '.join(missing)}")
    values = {name: _to_tuples(value) for name, value in values.items()}
    check_types(values, hints)
    return kind(**values)


def added_field(default: Any) -> Any:
    """A field that a dataclass got after files of it had been written; in these it has its default.

    `settings_of` omits it where it has that value, so that such files and their fingerprints do not change.
    """
    return field(default=default, metadata={"added": True})


def is_added_field(field: Field) -> bool:
    """Whether a field may be absent from files."""
    return "added" in field.metadata


def settings_of(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass for a file, without added fields at their default."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    omitted = {f.name for f in fields(settings) if is_added_field(f) and values[f.name] == f.default}
    return {name: value for name, value in values.items() if name not in omitted}


def check_types(values: dict[str, Any], hints: dict[str, Any]) -> None:
    """Raises ValueError with the first name whose value is not of its type."""
    for name, value in values.items():
        if not _fits(value, hints.get(name, Any)):
            expected = getattr(hints[name], "__name__", str(hints[name]))
            raise ValueError(f"{name} must be {expected}, got {value!r:.80}")


def _to_tuples(value: Any) -> Any:
    return tuple(map(_to_tuples, value)) if isinstance(value, list) else value


def _field_names(kind: type) -> str:
    return ", ".join(field.name for field in fields(kind))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotation's type; an int is a float too, but a bool is neither."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        return isinstance(value, tuple) and _all_fit(value, inner)
    if origin in (list, Sequence):
        return isinstance(value, tuple) and _all_fit(value, (*inner, ...))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    return value is None if hint is NoneType else type(value) is hint or _is_a(value, hint)


def _all_fit(values: tuple, hints: tuple) -> bool:
    expected: Iterable = hints[:1] * len(values) if hints[1:] == (...,) else hints
    return len(values) == len(tuple(expected)) and all(map(_fits, values, expected))


def _is_a(value: Any, hint: Any) -> bool:
    return isinstance(hint, type) and hint not in (int, bool) and isinstance(value, hint)
