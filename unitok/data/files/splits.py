"""Splits of a data set: their names, file names that tell them, and the rule where none is given."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Split = Literal["train", "val", "test"]
SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "dev", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""The names of each split, in any case."""
SPLIT_BY_NAME: dict[str, Split] = {name: split for split, names in SPLITS.items() for name in names}
WORD = re.compile(r"[^\W\d_]+")


class Share(NamedTuple):
    """Where the documents of a split are: all those of an existing split, or a share of them."""

    split: Split
    share: Split | None


def split_named(name: str) -> Split | None:
    """Returns the split that has this name.

    Example:
        >>> split_named("Train"), split_named("train_0")
        ('train', None)
    """
    return SPLIT_BY_NAME.get(name.casefold())


def split_in_name(name: str) -> Split | None:
    """Returns the split that a word of a name stands for; only whole words count.

    Example:
        >>> split_in_name("cc3m-validation-0003"), split_in_name("val.tar"), split_in_name("trainval_0")
        ('val', 'val', None)
    """
    return next(
        (SPLIT_BY_NAME[word] for word in WORD.findall(name.casefold()) if word in SPLIT_BY_NAME), None
    )


def group_by_split(files: Iterable[Path]) -> dict[Split, list[Path]]:
    """Groups files by the splits in their names; those without a split in the name are dropped."""
    groups: dict[Split, list[Path]] = {}
    for file in files:
        if (split := split_in_name(file.name)) is not None:
            groups.setdefault(split, []).append(file)
    return {split: groups[split] for split in SPLITS if split in groups}


def resolve_split(split: Split, existing: Collection[Split], *, path: str | Path) -> Share:
    """Returns where the documents of a split are: without val, a share of train validates.

    Raises:
        FileNotFoundError: there is no such split, and no train to take a share of.
    """
    if split in existing and (split != "train" or "val" in existing):
        return Share(split, None)
    if split == "test" or "train" not in existing:
        raise FileNotFoundError(
            f"{path}: no split {split}, only {', '.join(existing)}; give data.train and data.val, or the "
            "path of one split as a set of its own"
        )
    return Share("train", split)
