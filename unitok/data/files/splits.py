"""Splits of a data set: their names, file names that tell them, and the rule where none is given."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Part = Literal["train", "val", "test"]
SPLITS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "dev", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""Names under which the splits of a set are known, in any case."""
NAMED: dict[str, Part] = {name: part for part, names in SPLITS.items() for name in names}
WORD = re.compile(r"[^\W\d_]+")


class Share(NamedTuple):
    """Where a split lies: in a split that is there, all of it, or as a share of it."""

    split: Part
    share: Part | None


def split_named(name: str) -> Part | None:
    """The split whose name this is.

    Example:
        >>> split_named("Train"), split_named("train_0")
        ('train', None)
    """
    return NAMED.get(name.casefold())


def split_said(name: str) -> Part | None:
    """The split that a word of a name says; a letter more is another word.

    Example:
        >>> split_said("cc3m-validation-0003"), split_said("val.tar"), split_said("trainval_0")
        ('val', 'val', None)
    """
    return next((NAMED[word] for word in WORD.findall(name.casefold()) if word in NAMED), None)


def by_split(files: Iterable[Path]) -> dict[Part, list[Path]]:
    """Files by the splits that their names say; those that say none are left out."""
    found: dict[Part, list[Path]] = {}
    for file in files:
        if (part := split_said(file.name)) is not None:
            found.setdefault(part, []).append(file)
    return {part: found[part] for part in SPLITS if part in found}


def where(part: Part, there: Collection[Part], *, path: str | Path) -> Share:
    """Where a split lies among those that are there: without val, a share of train validates.

    Raises:
        FileNotFoundError: there is no such split, and none that could be shared.
    """
    if part in there and (part != "train" or "val" in there):
        return Share(part, None)
    if part == "test" or "train" not in there:
        raise FileNotFoundError(
            f"{path}: no split {part} here, there is {', '.join(there)}; give data.train and data.val"
        )
    return Share("train", part)
