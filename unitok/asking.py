"""What is asked of a model, as its engine takes it. Knows a model's codec and defaults, no weights."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unitok.document import Document, Segment
from unitok.generation.options import Options
from unitok.generation.requests import Request, Shapes
from unitok.modalities.image import ImageModality
from unitok.sampling import Sampling

if TYPE_CHECKING:
    from unitok.bundle import UniTok


def requests_of(
    model: "UniTok",
    documents: Sequence[Document],
    *,
    target: str | None = None,
    seed: int | Sequence[int] = 0,
    copies: Sequence[int] | None = None,
    negatives: Sequence[Document] | None = None,
    choices: Sequence[Any] = (),
    size: tuple[int, int] | None = None,
    max_segments: int = 8,
    **settings: float | None,
) -> list[Request]:
    """A request for each document.

    Args:
        model: who writes.
        documents: what is known.
        target: "text", "image", or None: the model chooses, for at most `max_segments` segments.
        seed: one for all documents, or one each; the same seed and document give the same in any batch.
        copies: numbers by which equal documents draw differently.
        negatives: what guidance leads away from, one a document; None for nothing.
        choices: contents of which the new segment is one, such as ["yes", "no"], or
            [str(n) for n in range(100)] for a number; any where there are none.
        size: (height, width) in pixels, for models that draw several sizes; None lets the model choose.
        settings: fields of Sampling; what is None or absent is the model's own default.

    Raises:
        ValueError: choices without a target, an unknown setting, a size that the model cannot draw, or
            another number of seeds, copies or negatives than of documents.
    """
    if choices and target is None:
        raise ValueError(f"choices need a target, the modality that they are of: {list(choices)}")
    count, codec = len(documents), model.codec
    options = codec.encode(tuple(Segment(target, choice) for choice in choices))
    shared = {
        "target": target,
        "sampling": settings_of(model, settings),
        "options": Options(codec, options) if options else None,
        "shapes": _shapes(model, size),
        "max_segments": max_segments,
    }
    each_has = zip(
        codec.encode_many(documents),
        each(seed, count, "seed"),
        each(0 if copies is None else copies, count, "copy"),
        [()] * count if negatives is None else codec.encode_many(each(negatives, count, "negative")),
        strict=True,
    )
    return [
        Request(prompt=prompt, seed=seed, copy=copy, negative=negative, **shared)
        for prompt, seed, copy, negative in each_has
    ]


def settings_of(model: "UniTok", settings: Mapping[str, float | None]) -> dict[str, Sampling]:
    """Sampling by modality: the model's own defaults but for these fields; None keeps the default.

    Raises ValueError for a field that Sampling has not.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    known = Sampling.__dataclass_fields__
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
    return {name: replace(model.sampling.get(name, Sampling()), **given) for name in model.codec.modalities}


def _shapes(model: "UniTok", size: tuple[int, int] | None) -> Shapes | None:
    """The image's cells for a size in pixels. Raises ValueError for one that the model cannot draw."""
    if size is None:
        return None
    image: ImageModality = model.codec.modalities["image"]
    return {"image": image.cells_of(size)}


def each(values: Any, count: int, what: str, *, of: str = "prompts") -> list:
    """As many values as there are prompts: those that are given, or one for all.

    Raises ValueError where another number is given.
    """
    several = [values] * count if isinstance(values, str | int) else list(values)
    if len(several) != count:
        raise ValueError(f"{count} {of} need one {what} or {count}, not {len(several)}")
    return several
