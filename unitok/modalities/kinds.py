"""The registry of modalities, by the names of their classes. Knows none of them, and imports none.

A modality of another package registers itself when its module is imported. That is up to the caller: nothing
that a model's folder names is ever imported.
"""

import re
from typing import TypeVar

from unitok.modalities.base import Modality

Kind = TypeVar("Kind", bound=type[Modality])

KINDS: dict[str, type[Modality]] = {}
"""Classes that a model's config.json may name."""
NAME = re.compile("[a-z][a-z0-9_]*", re.ASCII)
STRUCTURE = "structure"
"""The name, among losses by modality, of the ids that begin segments and end documents."""


def modality_kind(kind: Kind) -> Kind:
    """Class decorator that registers a modality, so that models with it can be saved and loaded.

    Raises:
        ValueError: another module has registered a class of this name.
    """
    known = KINDS.get(kind.__name__, kind)
    if known.__module__ != kind.__module__:
        raise ValueError(
            f"a modality's class must have a name of its own, got {kind.__name__} in {kind.__module__} "
            f"and in {known.__module__}"
        )
    KINDS[kind.__name__] = kind  # a new one, where a module is imported again
    return kind


def kind_of(name: object) -> type[Modality]:
    """The registered class of this name. Raises ValueError if there is none."""
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(
            f"kind must be one of {', '.join(sorted(KINDS))}, got {name!r:.80}: import the module that "
            "defines it first (a command does by --import MODULE)"
        )
    return KINDS[name]


def check_registered(modality: Modality) -> None:
    """Raise ValueError for a modality that no folder could name."""
    kind = type(modality)
    if KINDS.get(kind.__name__) is not kind:
        raise ValueError(f"{kind.__name__} must be registered: decorate it with @modality_kind")


def check_name(name: str) -> None:
    """Raise ValueError for a modality's name that is no folder's on some system, or that of other ids."""
    if not NAME.fullmatch(name) or name == STRUCTURE:
        raise ValueError(
            f"a modality's name must be lower-case letters, digits and _, not {STRUCTURE}, got {name!r:.80}"
        )
