"""Settings that take a count or a share, such as trainer.limit_train_batches. Knows no setting by name."""

from types import UnionType
from typing import Union, get_args, get_origin

from jsonargparse import ArgumentParser


def read_integers_first(parser: ArgumentParser) -> None:
    """Make settings that take a whole number or a fraction read 1 as a count of one, not as the share 1.0.

    `typing` takes Union[int, float] and Union[float, int] for equal and may return either for the other, so
    that the order in which the types are tried would depend on the order of imports.
    """
    for action in parser._actions:
        kinds = get_args(getattr(action, "_typehint", None))
        if get_origin(getattr(action, "_typehint", None)) in (Union, UnionType) and {int, float} <= {*kinds}:
            action._typehint = Union[tuple(sorted(kinds, key=lambda kind: kind is not int))]  # noqa: UP007
