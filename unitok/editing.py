"""What of a picture stays and what is drawn anew: masks of pixels to free codes. Knows no weights.

A causal model draws a cell after all cells above it and to its left, known or new; of known ones below it
learns only by best-of: of several drawings that one is kept which makes the whole picture likeliest.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image, ImageOps

from unitok.document import Codes, Segment
from unitok.generate import generate
from unitok.likelihood import likeliest, scores
from unitok.modalities.image import ImageModality

if TYPE_CHECKING:
    from unitok.bundle import UniTok

Mask = Bool[np.ndarray, "rows columns"]


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
    free = [_random_cells(image, modality.tokenizer.cell, 1 - keep, seed) for image in fitted]
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


def _random_cells(image: Image.Image, cell: int, share: float, seed: int) -> Mask:
    """About a share of the cells, one at least."""
    rows, columns = image.height // cell, image.width // cell
    drawn = np.random.default_rng(seed).random((rows, columns))
    return drawn <= max(share, drawn.min())


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
    asked = codec.encode_many([(Segment("text", prompt),) for prompt in prompts])
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


def fit_mask(mask: Image.Image, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask brought to `size` (width, height) as its picture is; white is drawn anew, black stays.

    Raises:
        ValueError: mask and picture differ in size.
    """
    if mask.size != picture.size:
        raise ValueError(f"the mask has {mask.size} pixels, the picture {picture.size}: they must be alike")
    return ImageOps.fit(mask.convert("L"), size, Image.Resampling.NEAREST).point(lambda v: 255 * (v >= 128))


def free_cells(mask: Image.Image, cell: int) -> Bool[np.ndarray, "rows columns"]:
    """Cells of `cell` pixels a side in which a pixel of the mask is white."""
    white = np.asarray(mask) >= 128
    rows, columns = white.shape[0] // cell, white.shape[1] // cell
    return white.reshape(rows, cell, columns, cell).any(axis=(1, 3))


def partly_known(codes: Codes, free: Bool[np.ndarray, "rows columns"], modality: ImageModality) -> Codes:
    """An image's codes with -1 in the free cells.

    Raises:
        ValueError: no cell is free.
    """
    if not free.any():
        raise ValueError("the mask is black everywhere: nothing is to be drawn")
    places = torch.from_numpy(free.ravel().copy()).repeat_interleave(len(modality.cell_ranges))
    return Codes(codes.modality, codes.codes.masked_fill(places, -1), codes.shape)
