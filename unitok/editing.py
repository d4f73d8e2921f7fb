"""Pictures changed: a hole drawn anew, variations, instructions. Knows no weights.

A causal model draws a cell after all cells above it and to its left, known or new. A model that has learned
to fill holes is shown the picture with its hole first; any other learns of known cells below only by best-of:
of several drawings that one is kept which makes the whole picture likeliest.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from unitok.document import Document, Segment
from unitok.generate import generate
from unitok.holes import Mask, blackened, fit_mask, free_cells, partly_known, some_cells
from unitok.likelihood import likeliest, scores
from unitok.modalities.image import ImageModality

if TYPE_CHECKING:
    from unitok.bundle import UniTok


def inpaint(
    model: "UniTok",
    images: Sequence[Image.Image],
    masks: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    n: int = 1,
    best_of: int = 1,
    seed: int = 0,
    paste: bool = True,
    batch_size: int = 32,
    **settings: float | None,
) -> list[Image.Image]:
    """Pictures redrawn where their masks are white, `n` of each, picture by picture.

    Args:
        model: who draws.
        images, masks, prompts: as many of each; a prompt says what the whole picture shows then.
        n: results of each.
        best_of: drawings made for each result: the likeliest together with what stays.
        seed: the same seed, picture and prompt give the same result.
        paste: outside the masks show the picture's own pixels, not their codes'.
        batch_size: pictures drawn at once.
        settings: fields of Sampling; None is the model's own default.
    """
    if not len(images) == len(masks) == len(prompts):
        raise ValueError(
            f"{len(images)} pictures, {len(masks)} masks and {len(prompts)} prompts: not as many"
        )
    modality: ImageModality = model.codec.modalities["image"]
    fitted = [modality.fit(image) for image in images]
    holes = [fit_mask(m, i, f.size) for m, i, f in zip(masks, images, fitted, strict=True)]
    free = [free_cells(hole, modality.tokenizer.cell) for hole in holes]
    drawn = _redraw(
        model,
        fitted,
        free,
        prompts,
        n=n,
        best_of=best_of,
        seed=seed,
        batch_size=batch_size,
        settings=settings,
    )
    if not paste:
        return drawn
    return [Image.composite(new, fitted[i // n], holes[i // n]) for i, new in enumerate(drawn)]


def vary(
    model: "UniTok",
    images: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    keep: float,
    n: int = 1,
    best_of: int = 1,
    seed: int = 0,
    batch_size: int = 32,
    **settings: float | None,
) -> list[Image.Image]:
    """Variations of pictures of which a share `keep` of the cells, chosen by the seed, stays."""
    if not 0 <= keep < 1:
        raise ValueError(f"keep is a share from 0 to less than 1, not {keep}")
    modality: ImageModality = model.codec.modalities["image"]
    fitted = [modality.fit(image) for image in images]
    cell = modality.tokenizer.cell
    free = [some_cells(f.height // cell, f.width // cell, 1 - keep, seed) for f in fitted]
    return _redraw(
        model,
        fitted,
        free,
        prompts,
        n=n,
        best_of=best_of,
        seed=seed,
        batch_size=batch_size,
        settings=settings,
    )


def change(
    model: "UniTok",
    images: Sequence[Image.Image],
    instructions: Sequence[str],
    *,
    n: int = 1,
    seed: int = 0,
    batch_size: int = 32,
    **settings: float | None,
) -> list[Image.Image]:
    """Pictures as instructions change them, such as "remove the red circle", `n` of each, picture by picture.

    The model must have learned it, as configs/transformer/shapes_tasks.yaml teaches it. Arguments are as
    of `inpaint`; `image_guidance_scale` says how far the picture counts, `guidance_scale` how far both.
    """
    if len(images) != len(instructions):
        raise ValueError(f"{len(images)} pictures and {len(instructions)} instructions: not as many")
    check_counts(n=n)
    asked = zip(images, instructions, strict=True)
    known = [(Segment("image", image), Segment("text", text)) for image, text in asked]
    documents = model.generate(
        [document for document in known for _ in range(n)],
        target="image",
        seed=seed,
        copies=list(range(n)) * len(known),
        batch_size=batch_size,
        **settings,
    )
    return [document[-1].content for document in documents]


def check_counts(**counts: int) -> None:
    """Raises ValueError for the first of these that is below 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is 1 or more, not {count}")


def hole_prompt(model: "UniTok", picture: Image.Image, free: Mask, prompt: str) -> Document:
    """What a model is told before it draws a hole: the prompt, after what is left if it has learned that."""
    shown = (Segment("image", blackened(picture, free)),) if model.fills else ()
    return *shown, Segment("text", prompt)


def _redraw(
    model: "UniTok",
    pictures: Sequence[Image.Image],
    free: Sequence[Mask],
    prompts: Sequence[str],
    *,
    n: int,
    best_of: int,
    seed: int,
    batch_size: int,
    settings: dict,
) -> list[Image.Image]:
    check_counts(n=n, best_of=best_of)
    codec, copies = model.codec, n * best_of
    modality: ImageModality = codec.modalities["image"]
    known = [codes for (codes,) in codec.encode_many([(Segment("image", picture),) for picture in pictures])]
    fixed = [partly_known(codes, cells, modality) for codes, cells in zip(known, free, strict=True)]
    asked = codec.encode_many(
        [hole_prompt(model, *known) for known in zip(pictures, free, prompts, strict=True)]
    )
    documents = generate(
        model.model,
        codec,
        [document for document in asked for _ in range(copies)],
        target="image",
        sampling=model.settings_of(settings),
        seed=seed,
        copies=list(range(copies)) * len(asked),
        fixed=[codes for codes in fixed for _ in range(copies)],
        batch_size=batch_size,
        compile=model.compile,
    )
    if best_of > 1:
        found = scores(model.model, codec, documents, batch_size=batch_size)
        documents = [documents[i] for i in likeliest(found, copies=best_of)]
    return [document[0].content for document in codec.decode_many([codes[-1:] for codes in documents])]
