"""Inpainting, variations and edits by instruction. Knows no weights.

A causal model draws a cell after all cells above it and to its left, known or new. A model that has learned
to fill holes is shown the picture with its hole first; any other learns of known cells below only by best-of.
"""

from collections.abc import Sequence

from PIL import Image

from unitok.api import arguments
from unitok.api.arguments import Images, Real, Texts, Whole, number, texts, whole
from unitok.api.document_model import DocumentModel
from unitok.api.ranking import said_of
from unitok.api.request_builder import one_seed, settings_of
from unitok.document import Codes, Document, Segment
from unitok.generation.generate import generate
from unitok.generation.likelihood import likeliest, scores
from unitok.generation.requests import Request
from unitok.modalities.image import ImageModality
from unitok.modalities.image_masks import Mask, blackened, fit_mask, free_cells, partly_known, some_cells
from unitok.pixels import as_rgb
from unitok.tokens.codec import Codec


def inpaint(
    model: DocumentModel,
    images: Images,
    masks: Images,
    prompts: Texts,
    *,
    n: Whole = 1,
    best_of: Whole = 1,
    seed: Whole | None = 0,
    paste: bool = True,
    batch_size: Whole = 32,
    **settings: Real | None,
) -> list[Image.Image]:
    """Pictures redrawn where their masks are transparent or white, `n` of each, picture by picture.

    Args:
        model: who draws.
        images, masks, prompts: one or as many of each; a prompt says what the whole picture shows then.
        n: results of each.
        best_of: drawings made for each result: the one that goes best with what stays and shows best what the
            prompt says.
        seed: the same seed, picture and prompt give the same result; None is a new one of torch's generator.
        paste: outside the masks show the picture's own pixels, not their codes'.
        batch_size: pictures drawn at once.
        settings: fields of Sampling; None is the model's own default.
    """
    images, masks = arguments.images(images), arguments.images(masks, "masks")
    prompts = texts(prompts, "prompts")
    if not len(images) == len(masks) == len(prompts):
        raise ValueError(
            f"{len(images)} pictures, {len(masks)} masks and {len(prompts)} prompts: not as many"
        )
    modality: ImageModality = model.codec.modalities["image"]
    images = [as_rgb(image) for image in images]
    fitted = [modality.fit(image) for image in images]
    holes = [fit_mask(m, i, f.size) for m, i, f in zip(masks, images, fitted, strict=True)]
    free = [free_cells(hole, modality.tokenizer.cell) for hole in holes]
    return _redraw(
        model,
        fitted,
        free,
        prompts,
        pasted=holes if paste else None,
        n=n,
        best_of=best_of,
        seed=seed,
        batch_size=batch_size,
        settings=settings,
    )


def vary(
    model: DocumentModel,
    images: Images,
    prompts: Texts,
    *,
    keep: Real,
    n: Whole = 1,
    best_of: Whole = 1,
    seed: Whole | None = 0,
    batch_size: Whole = 32,
    **settings: Real | None,
) -> list[Image.Image]:
    """Variations of pictures of which a share `keep` of the cells, chosen by the seed, stays."""
    images, prompts, seed = arguments.images(images), texts(prompts, "prompts"), one_seed(seed)
    if len(images) != len(prompts):
        raise ValueError(f"{len(images)} pictures and {len(prompts)} prompts: not as many")
    keep = number(keep, "keep")
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
    model: DocumentModel,
    images: Images,
    instructions: Texts,
    *,
    n: Whole = 1,
    seed: Whole | None = 0,
    batch_size: Whole = 32,
    **settings: Real | None,
) -> list[Image.Image]:
    """Pictures as instructions change them, such as "remove the red circle", `n` of each, picture by picture.

    The model must have learned it, as configs/transformer/shapes_tasks.yaml teaches it. Arguments are as
    of `inpaint`; `image_guidance_scale` says how far the picture counts, `guidance_scale` how far both.
    """
    images, instructions = arguments.images(images), texts(instructions, "instructions")
    if len(images) != len(instructions):
        raise ValueError(f"{len(images)} pictures and {len(instructions)} instructions: not as many")
    n = whole(n, "n", least=1)
    asked = zip(images, instructions, strict=True)
    known = [(Segment("image", image), Segment("text", text)) for image, text in asked]
    documents = model.generate(
        [document for document in known for _ in range(n)],
        target="image",
        seed=one_seed(seed),
        copies=list(range(n)) * len(known),
        batch_size=batch_size,
        **settings,
    )
    return [document[-1].content for document in documents]


def hole_prompt(model: DocumentModel, picture: Image.Image, free: Mask, prompt: str) -> Document:
    """What a model is told before it draws a hole: the prompt, after what is left if it has learned that."""
    shown = (Segment("image", blackened(picture, free)),) if model.fills else ()
    return *shown, Segment("text", prompt)


def known_around(codec: Codec, pictures: Sequence[Image.Image], free: Sequence[Mask]) -> list[Codes]:
    """The codes of pictures at the model's size, -1 in their free cells. Raises ValueError where none is."""
    modality: ImageModality = codec.modalities["image"]
    known = [codes for (codes,) in codec.encode_many([(Segment("image", picture),) for picture in pictures])]
    return [partly_known(codes, cells, modality) for codes, cells in zip(known, free, strict=True)]


def _redraw(
    model: DocumentModel,
    pictures: Sequence[Image.Image],
    free: Sequence[Mask],
    prompts: Sequence[str],
    *,
    pasted: Sequence[Image.Image] | None = None,
    n: Whole,
    best_of: Whole,
    seed: Whole | None,
    batch_size: Whole,
    settings: dict,
) -> list[Image.Image]:
    """Pictures drawn anew in their free cells, within the masks of `pasted` alone if there are any."""
    best_of, batch_size = whole(best_of, "best_of", least=1), whole(batch_size, "batch_size", least=1)
    copies = whole(n, "n", least=1) * best_of
    options = {"copies": copies, "seed": one_seed(seed), "batch_size": batch_size, "settings": settings}
    documents = _written(model, pictures, free, prompts, **options)
    drawn = [d[0].content for d in model.codec.decode_many([codes[-1:] for codes in documents])]
    if pasted is not None:
        places = [i for i in range(len(pictures)) for _ in range(copies)]
        drawn = [Image.composite(new, pictures[i], pasted[i]) for new, i in zip(drawn, places, strict=True)]
    if best_of == 1:
        return drawn
    told = [prompt for prompt in prompts for _ in range(copies)]
    found = _fits(model, documents, drawn, told, batch_size=batch_size)
    return [drawn[i] for i in likeliest(found, copies=best_of)]


def _written(
    model: DocumentModel,
    pictures: Sequence[Image.Image],
    free: Sequence[Mask],
    prompts: Sequence[str],
    *,
    copies: int,
    seed: int,
    batch_size: int,
    settings: dict,
) -> list[list[Codes]]:
    """What the model was told, then the picture's codes, new ones in free cells; `copies` of each."""
    codec = model.codec
    fixed = known_around(codec, pictures, free)
    told = [hole_prompt(model, *what) for what in zip(pictures, free, prompts, strict=True)]
    shared = {"target": "image", "sampling": settings_of(model.sampling, settings), "seed": seed}
    requests = [
        Request(prompt=prompt, fixed=codes, copy=copy, **shared)
        for prompt, codes in zip(codec.encode_many(told), fixed, strict=True)
        for copy in range(copies)
    ]
    return generate(model.model, codec, requests, batch_size=batch_size, compile=model.compile)


def _fits(
    model: DocumentModel,
    documents: Sequence[Sequence[Codes]],
    drawn: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    batch_size: int,
) -> list[float]:
    """log p(all of the picture | what was told) + log p(prompt | what is seen), of each drawing.

    The first knows whether it goes with what stays, the second whether it shows what was asked for: of some
    drawings most are likely because next to nothing is in them.
    """
    whole = scores(model.model, model.codec, documents, batch_size=batch_size)
    asked = said_of(model, drawn, prompts, batch_size=batch_size)
    return [score.log_probability + said for score, said in zip(whole, asked, strict=True)]
