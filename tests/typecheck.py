"""The type checker of the tests, on every function of the package: an int is welcome where a float is needed.

jaxtyping compares the shapes of a call's arguments and result, at some 20 µs a call. A function without
shapes has nothing to compare, so beartype alone checks it, at about 1 µs a call.
"""

from dataclasses import is_dataclass
from functools import wraps
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isfunction, isgeneratorfunction
from typing import get_args

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))
_check_shapes = jaxtyping.jaxtyped


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
        return _check_alone(item) if _lacks_shapes(item) else _check_shapes(item, typechecker=typechecker)

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


def _lacks_shapes(item) -> bool:
    """Whether an item is a function without shapes; jaxtyping is more patient with generators."""
    hints = getattr(item, "__annotations__", {}).values()
    return isfunction(item) and not isgeneratorfunction(item) and not any(map(_has_shape, hints))


def _has_shape(hint) -> bool:
    """Whether a hint has a shape in it; one that is a string, and so not yet known, may have."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return isinstance(hint, str) or any(map(_has_shape, get_args(hint)))
