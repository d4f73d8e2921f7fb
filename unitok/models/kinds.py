"""The registry of parts of networks that configurations name: subclasses that are imported, by name.

Nothing else is looked up, so that no file can run code. Knows no layers.
"""

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from inspect import isabstract
from typing import Any

from unitok.json_files import build_dataclass, is_added_field, settings_of

ON_DEMAND = {"Pretrained": "unitok.interop.vision.pretrained"}
"""The modules of kinds that need other packages; they are imported when a configuration names the kind."""


def kinds(*bases: type) -> dict[str, type]:
    """The subclasses of some interfaces that are imported, by name; of two with one name, the first."""
    found: dict[str, type] = {}
    for kind in (kind for base in bases for kind in _subclasses(base)):
        if not isabstract(kind):
            found.setdefault(kind.__name__, kind)
    return found


def _subclasses(kind: type) -> list[type]:
    return [below for child in kind.__subclasses__() for below in (child, *_subclasses(child))]


def part_to_json(part: Any, *bases: type) -> dict[str, Any]:
    """A part, whose class is a frozen dataclass of `kinds(*bases)`, by its `kind` and its fields."""
    name = type(part).__name__
    if (known := kinds(*bases).get(name)) is not type(part):
        raise ValueError(f"{type(part).__module__}.{name} must not share its name with {known.__module__}")
    return {"kind": name} | {name: _to_json(value, bases) for name, value in settings_of(part).items()}


def _to_json(value: Any, bases: tuple[type, ...]) -> Any:
    """A field of a part: another part, several of them, or a plain value."""
    if isinstance(value, bases):
        return part_to_json(value, *bases)
    return tuple(_to_json(one, bases) for one in value) if isinstance(value, list | tuple) else value


def _from_json(value: Any, bases: tuple[type, ...]) -> Any:
    """The inverse of `_to_json`."""
    if isinstance(value, Mapping):
        return part_from_json(value, *bases)
    return tuple(_from_json(one, bases) for one in value) if isinstance(value, list | tuple) else value


def part_from_json(values: Any, *bases: type) -> Any:
    """Build the part that a mapping describes by its `kind` and exactly the fields of that kind.

    Raises ValueError for anything else.
    """
    if isinstance(values, Mapping) and (module := ON_DEMAND.get(str(values.get("kind")))):
        import_module(module)
    known = kinds(*bases)
    if not isinstance(values, Mapping) or str(values.get("kind")) not in known:
        raise ValueError(f"kind must be one of {', '.join(known)}, got {describe_part(values)}")
    kind = known[values["kind"]]
    mismatched = set(values) ^ {"kind", *(field.name for field in fields(kind))}
    mismatched -= {field.name for field in fields(kind) if is_added_field(field)}
    if mismatched:
        raise ValueError(f"{kind.__name__}: missing or unknown {sorted(mismatched)}")
    inner = {name: _from_json(value, bases) for name, value in values.items() if name != "kind"}
    return build_dataclass(kind, inner)


def describe_part(values: Any) -> str:
    """A value in the place of a part, for errors."""
    return str(values.get("kind", sorted(values))) if isinstance(values, Mapping) else type(values).__name__
