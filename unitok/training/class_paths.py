"""Classes and arguments as configs name them: a class path, alone or with init_args. Knows no class."""

import importlib
from collections.abc import Mapping
from inspect import isabstract
from pkgutil import walk_packages
from typing import Any, TypeVar

from unitok.models.kinds import ON_DEMAND
from unitok.renamed import check_class_path

Kind = TypeVar("Kind")
SOURCES = ("unitok.data.mixture", "unitok.data.readers", "unitok.data.transforms", "unitok.worlds")
MODALITIES = ("unitok.modalities",)
ENCODERS = tuple(ON_DEMAND.values())
CALLBACKS = ("unitok.training.run.callbacks", "unitok.training.samples")
"""Where the classes are that a config may name without their module."""


def split_class_path(value: Any, *, what: str) -> tuple[str, dict[str, Any]]:
    """The class path and the arguments of a setting. Raises ValueError, with `what` it is, for other keys."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be a class path, got {value!r:.80}")
    unknown = set(value) - {"class_path", "init_args"}
    if unknown or "class_path" not in value:
        keys = ", ".join(map(str, value))
        raise ValueError(f"{what} must have class_path and may have init_args, got {keys}")
    return value["class_path"], dict(value.get("init_args") or {})


def find_class(path: str, base: type[Kind], *, expected: str) -> type[Kind]:
    """The subclass of `base` at a class path; this package's sources and modalities may be given by
    their names alone.

    Raises ValueError, with what is `expected`, if there is none.
    """
    check_class_path(path)
    module, _, name = path.rpartition(".")
    if not module:
        import_classes(*SOURCES, *MODALITIES)
        if name in (imported := _imported(base)):
            return imported[name]
    try:
        found = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path}: {expected}an importable class ({error})") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{path}: {expected}the class path of a {base.__name__}")
    return found


def build(value: Any, base: type[Kind], *, what: str) -> Kind:
    """Builds the object of a setting. Raises ValueError for another class, or wrong arguments."""
    path, arguments = split_class_path(value, what=what)
    kind = find_class(path, base, expected="not ")
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def import_classes(*places: str) -> None:
    """Import modules, and all modules of packages, so that the bare names of their classes suffice."""
    for place in places:
        for module in walk_packages(getattr(importlib.import_module(place), "__path__", ()), f"{place}."):
            importlib.import_module(module.name)


def _imported(base: type[Kind]) -> dict[str, type[Kind]]:
    """Subclasses that are already imported, by name."""
    classes = {} if isabstract(base) else {base.__name__: base}
    for subclass in base.__subclasses__():
        classes |= _imported(subclass)
    return classes
