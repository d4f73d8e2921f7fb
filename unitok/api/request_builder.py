"""Builds engine requests from documents and sampling settings. Knows a codec and defaults, no weights."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from unitok.api.arguments import Real, Whole, listed, number, whole
from unitok.api.arguments import documents as checked
from unitok.document import Document, Segment
from unitok.generation.allowed_segments import Options
from unitok.generation.requests import Request, Shapes
from unitok.generation.sampling import Sampling
from unitok.modalities.image import ImageModality
from unitok.tokens.codec import Codec

SEEDS = 2**31
COUNTS = ("top_k", "max_new_tokens")
"""Fields of Sampling that are whole numbers."""


def requests_of(
    codec: Codec,
    sampling: Mapping[str, Sampling],
    documents: Iterable[Document],
    *,
    target: str | None = None,
    seed: Whole | Iterable[Whole] | None = 0,
    copies: Sequence[int] | None = None,
    negatives: Iterable[Document] | None = None,
    choices: Iterable[Any] | None = (),
    size: Iterable[Whole] | None = None,
    max_segments: Whole = 8,
    **settings: Real | None,
) -> list[Request]:
    """A request for each document.

    Args:
        codec: of the model that writes.
        sampling: its defaults, by modality.
        documents: what is known.
        target: "text", "image", or None: the model chooses, for at most `max_segments` segments.
        seed: one for all documents, or one each; the same seed and document give the same in any batch. None
            draws one for each by torch's own generator.
        copies: numbers by which equal documents draw differently.
        negatives: what guidance leads away from, one a document; None for nothing.
        choices: contents of which the new segment is one, such as ["yes", "no"], or
            [str(n) for n in range(100)] for a number; any where there are none.
        size: (height, width) in pixels, for models that draw several sizes; None lets the model choose.
        settings: fields of Sampling; what is None or absent is the model's own default.

    Raises:
        ValueError: choices without a target, an unknown setting, a size that the model cannot draw, another
            number of seeds, copies or negatives than of documents, or an argument of another kind.
    """
    documents, choices = (
        checked(documents),
        listed(() if choices is None else choices, "choices", of="contents"),
    )
    if choices and target is None:
        raise ValueError(f"choices need a target, the modality that they are of: {choices}")
    count = len(documents)
    options = codec.encode(tuple(Segment(target, choice) for choice in choices))
    shared = {
        "target": target,
        "sampling": settings_of(sampling, settings),
        "options": Options(codec, options) if options else None,
        "shapes": _shapes(codec, size),
        "max_segments": whole(max_segments, "max_segments", least=1),
    }
    each_has = zip(
        codec.encode_many(documents),
        seeds(seed, count),
        each(0 if copies is None else copies, count, "copy"),
        [()] * count
        if negatives is None
        else codec.encode_many(checked(each(negatives, count, "negative"), "negatives")),
        strict=True,
    )
    return [
        Request(prompt=prompt, seed=seed, copy=copy, negative=negative, **shared)
        for prompt, seed, copy, negative in each_has
    ]


def settings_of(sampling: Mapping[str, Sampling], settings: Mapping[str, Real | None]) -> dict[str, Sampling]:
    """Sampling by modality: the model's own defaults but for these fields; None keeps the default.

    Raises ValueError for a field that Sampling has not, and for what is no number.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    known = Sampling.__dataclass_fields__
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
    given = {name: (whole if name in COUNTS else number)(value, name) for name, value in given.items()}
    return {name: replace(defaults, **given) for name, defaults in sampling.items()}


def _shapes(codec: Codec, size: Iterable[Whole] | None) -> Shapes | None:
    """The image's cells for a size in pixels. Raises ValueError for one that the model cannot draw."""
    if size is None:
        return None
    sides = [whole(side, "size") for side in listed(size, "size", of="height and width in pixels")]
    if len(sides) != 2:
        raise ValueError(f"size must be height and width in pixels, got {sides}")
    image: ImageModality = codec.modalities["image"]
    return {"image": image.cells_of(sides)}


def seeds(seed: Whole | Iterable[Whole] | None, count: int, *, of: str = "prompts") -> list[int]:
    """A seed for each of so many: those that are given, one for all, or new ones for None.

    Raises ValueError where another number is given, and for what is no whole number.
    """
    if seed is None:
        return torch.randint(SEEDS, (count,)).tolist()
    if isinstance(seed, Iterable) and not isinstance(seed, str) and getattr(seed, "ndim", 1):
        return [whole(one, "seed") for one in each(seed, count, "seed", of=of)]
    return [whole(seed, "seed")] * count


def one_seed(seed: Whole | None) -> int:
    """A seed as an int; for None a new one of torch's generator. Raises ValueError for no whole number."""
    return seeds(None, 1)[0] if seed is None else whole(seed, "seed")


def each(values: Any, count: int, what: str, *, of: str = "prompts") -> list:
    """As many values as there are prompts: those that are given, or one for all.

    Raises ValueError where another number is given.
    """
    several = [values] * count if isinstance(values, str | int) else listed(values, what, of="texts")
    if len(several) != count:
        raise ValueError(f"{count} {of} need one {what} or {count}, not {len(several)}")
    return several
