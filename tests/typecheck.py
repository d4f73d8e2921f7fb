"""The type checker of the tests, on every function of the package: an int is welcome where a float is needed.

jaxtyping compares the shapes of a call's arguments and result, at some 50 µs a call. What it finds depends on
their kinds alone, so a call whose kinds a function has had before is not compared again. A function without
shapes has nothing to compare, so beartype alone checks it, at about 1 µs a call.
"""

import threading
from collections.abc import Hashable
from dataclasses import is_dataclass
from functools import cache, wraps
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isfunction, isgeneratorfunction
from typing import Any, Literal, get_args, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))
jaxtyped = jaxtyping.jaxtyped
_returned = threading.local()
MOST_ITEMS = 8
"""Items of a list or tuple that its kind tells; of one of any length beartype checks one at random."""


def install() -> None:
    """Check each function of the package that is imported from now on."""
    jaxtyping.jaxtyped = _check  # the hook decorates functions and classes with it
    jaxtyping.install_import_hook("unitok", f"{__name__}.check")


def _check(*, typechecker):
    def decorate(item):
        if isclass(item):
            if is_dataclass(item) and "__init__" in vars(item):
                item.__init__ = decorate(item.__init__)
            return item
        if _lacks_shapes(item):
            return _check_alone(item)
        checked = jaxtyped(item, typechecker=typechecker)
        return _check_once(item, checked) if _is_told_by_kinds(item) else checked

    return decorate


def _check_alone(function):
    """Check a function by beartype alone, except where a test disables jaxtyping's checks."""
    checked = check(function)
    if iscoroutinefunction(function) or isasyncgenfunction(function):
        return checked

    @wraps(function)
    def call(*args, **options):
        chosen = function if jaxtyping.config.jaxtyping_disable else checked
        return chosen(*args, **options)

    return call


def _check_once(function, checked):
    """Check a function's calls whose kinds are new: of arguments before the call, of all after it.

    In compiled code nothing is checked: a comparison of kinds would make shapes constants.
    """
    from torch.compiler import is_compiling  # what has shapes has imported torch

    known: set[Hashable] = set()

    @wraps(function)
    def recall(*args, **options):
        return _returned.value

    check_result = cache(lambda: jaxtyped(recall, typechecker=check))

    @wraps(function)
    def call(*args, **options):
        if jaxtyping.config.jaxtyping_disable or is_compiling():
            return function(*args, **options)
        given = _kind(args), _kind(options)
        if given not in known:
            result = checked(*args, **options)
            known.update((given, (given, _kind(result))))
            return result
        result = function(*args, **options)
        if (both := (given, _kind(result))) not in known:
            _returned.value = result
            check_result()(*args, **options)
            known.add(both)
        return result

    return call


def _kind(value: Any) -> Hashable:
    """All of a value that a hint of types and shapes can tell."""
    of = type(value)
    if (dtype := getattr(value, "dtype", None)) is not None and hasattr(value, "shape"):
        return value.shape, dtype
    if of is tuple or of is list:
        return of, *map(_kind, value[:MOST_ITEMS])
    if of is dict:
        return of, *((key, _kind(inner)) for key, inner in value.items())
    return of


def _is_told_by_kinds(item) -> bool:
    """Whether a function's hints tell no values and are known, and it ends with its call."""

    def is_told(hint) -> bool:
        if get_origin(hint) is Literal or isinstance(hint, str):
            return False
        return all(map(is_told, get_args(hint)))

    lasts = isgeneratorfunction(item) or iscoroutinefunction(item) or isasyncgenfunction(item)
    return isfunction(item) and not lasts and all(map(is_told, item.__annotations__.values()))


def _lacks_shapes(item) -> bool:
    """Whether an item is a function without shapes; jaxtyping is more patient with generators."""
    hints = getattr(item, "__annotations__", {}).values()
    return isfunction(item) and not isgeneratorfunction(item) and not any(map(_has_shape, hints))


def _has_shape(hint) -> bool:
    """Whether a hint has a shape in it; one that is a string, and so not yet known, may have."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return isinstance(hint, str) or any(map(_has_shape, get_args(hint)))
