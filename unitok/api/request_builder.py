"""Builds engine requests from documents and sampling settings. Knows a codec and defaults, no weights."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from unitok.api.arguments import FloatLike, IntLike, as_documents, as_float, as_int, as_list, describe
from unitok.document import Document, Segment
from unitok.foreign_names import unknown_arguments
from unitok.generation.allowed_segments import AllowedSegments
from unitok.generation.requests import Request, Shapes
from unitok.generation.sampling import Sampling
from unitok.tokens.codec import Codec

SEEDS = 2**31
INTEGER_FIELDS = ("top_k", "max_new_tokens")
"""Fields of Sampling that are integers."""


def build_requests(
    codec: Codec,
    sampling: Mapping[str, Sampling],
    documents: Iterable[Document],
    *,
    target: str | None = None,
    seed: IntLike | Iterable[IntLike] | None = 0,
    copies: Sequence[int] | None = None,
    negatives: Iterable[Document] | None = None,
    choices: Iterable[Any] | None = (),
    size: Iterable[IntLike] | None = None,
    max_segments: IntLike = 8,
    **settings: FloatLike | None,
) -> list[Request]:
    """Build a request for each document.

    Args:
        codec: the model's codec.
        sampling: the model's default settings by modality.
        documents: the prompts.
        target: "text", "image" or another modality; None: the model chooses, for at most `max_segments`
            segments.
        seed: one for all documents, or one each. The same seed and document give the same result in any
            batch. None takes one per document from torch's generator.
        copies: numbers that make equal documents sample differently.
        negatives: documents that guidance leads away from, one per document; None for none.
        choices: contents to choose the new segment from, such as ["yes", "no"], or, for a number,
            [str(n) for n in range(100)]; if empty, it is unconstrained.
        size: (height, width) in pixels, for models that draw several sizes; None lets the model choose.
        max_segments: most segments to generate without a target.
        settings: fields of Sampling; None takes the model's default.

    Raises:
        ValueError: choices without a target, an unknown setting, a size that the model cannot draw, more or
            fewer seeds, copies or negatives than documents, or an argument of the wrong type.
    """
    documents = as_documents(documents)
    choices = as_list(() if choices is None else choices, "choices", of="contents")
    if choices and target is None:
        raise ValueError(f"choices need a target, the modality that they are of: {choices}")
    count = len(documents)
    allowed = codec.encode(tuple(Segment(target, choice) for choice in choices))
    shared = {
        "target": target,
        "sampling": override_sampling(sampling, settings),
        "allowed": AllowedSegments(codec, allowed) if allowed else None,
        "shapes": _shapes(codec, size),
        "max_segments": as_int(max_segments, "max_segments", minimum=1),
    }
    per_document = zip(
        codec.encode_prompts(documents),
        as_seeds(seed, count),
        one_each(0 if copies is None else copies, count, "copies"),
        [()] * count
        if negatives is None
        else codec.encode_prompts(as_documents(one_each(negatives, count, "negatives"), "negatives")),
        strict=True,
    )
    return [
        Request(prompt=prompt, seed=seed, copy=copy, negative=negative, **shared)
        for prompt, seed, copy, negative in per_document
    ]


def override_sampling(
    sampling: Mapping[str, Sampling], settings: Mapping[str, FloatLike | None]
) -> dict[str, Sampling]:
    """Override fields of the default sampling of every modality; None keeps the default.

    `do_sample`, as in transformers, is temperature 0 if false, and a temperature above 0 if true.

    Raises ValueError for a field that Sampling does not have, and for a value that is not a number.
    """
    overrides = {name: value for name, value in settings.items() if value is not None}
    do_sample = overrides.pop("do_sample", None)
    known = Sampling.__dataclass_fields__
    if unknown := set(overrides) - set(known):
        raise unknown_arguments(unknown, known=known)
    overrides = {
        name: (as_int if name in INTEGER_FIELDS else as_float)(value, name)
        for name, value in overrides.items()
    }
    changed = {name: replace(defaults, **overrides) for name, defaults in sampling.items()}
    return changed if do_sample is None else _apply_do_sample(changed, do_sample)


def _apply_do_sample(sampling: Mapping[str, Sampling], do_sample: Any) -> dict[str, Sampling]:
    if not isinstance(do_sample, bool):
        raise ValueError(f"do_sample must be True or False, got {describe(do_sample)}")
    temperatures = {name: (one.temperature or 1.0) if do_sample else 0.0 for name, one in sampling.items()}
    return {name: replace(one, temperature=temperatures[name]) for name, one in sampling.items()}


def _shapes(codec: Codec, size: Iterable[IntLike] | None) -> Shapes | None:
    """Convert a size in pixels to cells. Raises ValueError if the model cannot draw it."""
    if size is None:
        return None
    sides = [as_int(side, "size") for side in as_list(size, "size", of="height and width in pixels")]
    if len(sides) != 2:
        raise ValueError(f"size must be height and width in pixels, got {sides}")
    image = codec.image
    return {"image": image.cells_of(sides)}


def as_seeds(seed: IntLike | Iterable[IntLike] | None, count: int, *, per: str = "prompt") -> list[int]:
    """Convert one seed or one per prompt to `count` seeds; None takes them from torch's generator.

    Raises ValueError for any other number of seeds, and for a seed that is not an integer.
    """
    if seed is None:
        return torch.randint(SEEDS, (count,)).tolist()
    if isinstance(seed, Iterable) and not isinstance(seed, str) and getattr(seed, "ndim", 1):
        return [as_int(one, "seed") for one in one_each(seed, count, "seed", per=per)]
    return [as_int(seed, "seed")] * count


def one_each(values: Any, count: int, name: str, *, per: str = "prompt") -> list:
    """Convert one value for all prompts, or one per prompt, to a list of `count` values.

    Raises ValueError for any other number of values.
    """
    several = [values] * count if isinstance(values, str | int) else as_list(values, name, of="strings")
    if len(several) != count:
        raise ValueError(f"{name} must be one value or {count}, one per {per}, got {len(several)}")
    return several
