"""Inpainting, variations and edits by instruction. Knows no weights.

A causal model draws a cell after all cells above it and to its left, known or new. A model trained to fill
holes is prompted with the image and its hole; for any other, only best-of accounts for known cells below.
"""

from collections.abc import Callable, Iterable, Sequence

from PIL import Image

from unitok.api.arguments import (
    FloatLike,
    Images,
    IntLike,
    Texts,
    as_float,
    as_images,
    as_int,
    as_masks,
    as_texts,
)
from unitok.api.document_model import DocumentModel
from unitok.api.ranking import caption_scores
from unitok.api.request_builder import as_seeds, override_sampling
from unitok.document import Codes, Document, Segment
from unitok.generation.generate import generate
from unitok.generation.likelihood import best_of_copies, scores
from unitok.generation.requests import Request
from unitok.modalities.image_masks import (
    Mask,
    blacken,
    fit_mask,
    free_cells,
    known_codes,
    paste_enlarged,
    random_cells,
)
from unitok.pixels import as_rgb
from unitok.tokens.codec import Codec

INPAINT_BEST_OF = 4
"""Samples of which the best is kept, where people edit: the web page and the command."""

Seeds = IntLike | Iterable[IntLike] | None
OnStep = Callable[[int], object] | None


def inpaint(
    model: DocumentModel,
    images: Images,
    masks: Images,
    prompts: Texts,
    *,
    n: IntLike = 1,
    best_of: IntLike = 1,
    seed: Seeds = 0,
    paste: bool = True,
    full_size: bool = False,
    batch_size: IntLike = 32,
    on_step: OnStep = None,
    **settings: FloatLike | None,
) -> list[Image.Image]:
    """Redraw images where their masks are transparent or white.

    Args:
        model: the model that draws.
        images, masks, prompts: one of each, or equally many; a prompt describes the whole image afterwards.
        n: results per image.
        best_of: samples per result; the one that fits the rest of the image and the prompt best is returned.
        seed: one for all images, or one each. The same seed, image and prompt give the same result.
            None takes them from torch's generator.
        paste: keep the image's own pixels outside the mask, instead of decoding their codes.
        full_size: with `paste`, keep the image's size, too, and scale up what is drawn; what the model does
            not see of the image (see `ImageModality.crop_edges`) stays as it is.
        batch_size: images drawn at once.
        on_step: called with the number of each step after it.
        settings: fields of Sampling; None takes the model's default.

    Returns:
        One flat list, image by image, `n` of each.
    """
    images, masks = as_images(images), as_masks(masks)
    prompts = as_texts(prompts, "prompts")
    if not len(images) == len(masks) == len(prompts):
        raise ValueError(
            "images, masks and prompts must have the same length, "
            f"got {len(images)} images, {len(masks)} masks and {len(prompts)} prompts"
        )
    modality = model.codec.image
    images = [as_rgb(image) for image in images]
    fitted = [modality.fit(image) for image in images]
    holes = [fit_mask(m, i, f.size) for m, i, f in zip(masks, images, fitted, strict=True)]
    free = [free_cells(hole, modality.tokenizer.cell) for hole in holes]
    if full_size and not paste:
        raise ValueError("full_size must be False where paste is False")
    drawn = _redraw(
        model,
        fitted,
        free,
        prompts,
        paste_masks=holes if paste else None,
        n=n,
        best_of=best_of,
        seed=seed,
        batch_size=batch_size,
        on_step=on_step,
        settings=settings,
    )
    if not full_size:
        return drawn
    sources = [i for i in range(len(images)) for _ in range(as_int(n, "n", minimum=1))]
    return [
        paste_enlarged(images[i], one, masks[i], edges=modality.crop_edges(images[i]))
        for one, i in zip(drawn, sources, strict=True)
    ]


def vary(
    model: DocumentModel,
    images: Images,
    prompts: Texts,
    *,
    keep: FloatLike,
    n: IntLike = 1,
    best_of: IntLike = 1,
    seed: Seeds = 0,
    batch_size: IntLike = 32,
    on_step: OnStep = None,
    **settings: FloatLike | None,
) -> list[Image.Image]:
    """Draw variations of images that keep a share `keep` of the cells, chosen by the seed."""
    images, prompts = as_images(images), as_texts(prompts, "prompts")
    if len(images) != len(prompts):
        raise ValueError(
            "images and prompts must have the same length, "
            f"got {len(images)} images and {len(prompts)} prompts"
        )
    keep = as_float(keep, "keep")
    if not 0 <= keep < 1:
        raise ValueError(f"keep must be in [0, 1), got {keep}")
    modality = model.codec.image
    fitted = [modality.fit(image) for image in images]
    cell, seeds = modality.tokenizer.cell, as_seeds(seed, len(images), per="image")
    sides = [(image.height // cell, image.width // cell) for image in fitted]
    free = [random_cells(*side, 1 - keep, one) for side, one in zip(sides, seeds, strict=True)]
    return _redraw(
        model,
        fitted,
        free,
        prompts,
        n=n,
        best_of=best_of,
        seed=seeds,
        batch_size=batch_size,
        on_step=on_step,
        settings=settings,
    )


def apply_instructions(
    model: DocumentModel,
    images: Images,
    instructions: Texts,
    *,
    n: IntLike = 1,
    seed: Seeds = 0,
    batch_size: IntLike = 32,
    on_step: OnStep = None,
    **settings: FloatLike | None,
) -> list[Image.Image]:
    """Edit images by instructions such as "remove the red circle"; returns `n` of each, image by image.

    The model must be trained for it, as configs/transformer/shapes_tasks.yaml does. Arguments are those of
    `inpaint`; `image_guidance_scale` weights the image, `guidance_scale` image and instruction together.
    """
    images, instructions = as_images(images), as_texts(instructions, "instructions")
    if len(images) != len(instructions):
        raise ValueError(
            "images and instructions must have the same length, "
            f"got {len(images)} images and {len(instructions)} instructions"
        )
    n = as_int(n, "n", minimum=1)
    pairs = zip(images, instructions, strict=True)
    prompts = [(Segment("image", image), Segment("text", text)) for image, text in pairs]
    documents = model.generate(
        [prompt for prompt in prompts for _ in range(n)],
        target="image",
        seed=[one for one in as_seeds(seed, len(images), per="image") for _ in range(n)],
        copies=list(range(n)) * len(prompts),
        batch_size=batch_size,
        on_step=on_step,
        **settings,
    )
    return [document[-1].content for document in documents]


def inpainting_prompt(model: DocumentModel, image: Image.Image, free: Mask, prompt: str) -> Document:
    """The prompt of an inpainting: the text, after the image with its hole if the model is trained so."""
    with_hole = (Segment("image", blacken(image, free)),) if model.fills else ()
    return *with_hole, Segment("text", prompt)


def masked_codes(codec: Codec, images: Sequence[Image.Image], free: Sequence[Mask]) -> list[Codes]:
    """Encode images of the model's size with -1 in their free cells. Raises ValueError if no cell is free."""
    modality = codec.image
    encoded = [Codes("image", *codes) for codes in modality.encode_many(images)]
    return [known_codes(codes, cells, modality) for codes, cells in zip(encoded, free, strict=True)]


def _redraw(
    model: DocumentModel,
    images: Sequence[Image.Image],
    free: Sequence[Mask],
    prompts: Sequence[str],
    *,
    paste_masks: Sequence[Image.Image] | None = None,
    n: IntLike,
    best_of: IntLike,
    seed: Seeds,
    batch_size: IntLike,
    on_step: OnStep,
    settings: dict,
) -> list[Image.Image]:
    """Redraw the free cells of images; with `paste_masks`, only pixels inside these masks change."""
    best_of, batch_size = as_int(best_of, "best_of", minimum=1), as_int(batch_size, "batch_size", minimum=1)
    copies = as_int(n, "n", minimum=1) * best_of
    documents = _generate_codes(
        model,
        images,
        free,
        prompts,
        copies=copies,
        seeds=as_seeds(seed, len(images), per="image"),
        batch_size=batch_size,
        on_step=on_step,
        settings=settings,
    )
    drawn = [d[0].content for d in model.codec.decode_many([codes[-1:] for codes in documents])]
    if paste_masks is not None:
        sources = [i for i in range(len(images)) for _ in range(copies)]
        drawn = [
            Image.composite(new, images[i], paste_masks[i]) for new, i in zip(drawn, sources, strict=True)
        ]
    if best_of == 1:
        return drawn
    repeated = [prompt for prompt in prompts for _ in range(copies)]
    fits = _fit_scores(model, documents, drawn, repeated, batch_size=batch_size)
    return [drawn[i] for i in best_of_copies(fits, copies=best_of)]


def _generate_codes(
    model: DocumentModel,
    images: Sequence[Image.Image],
    free: Sequence[Mask],
    prompts: Sequence[str],
    *,
    copies: int,
    seeds: Sequence[int],
    batch_size: int,
    on_step: OnStep,
    settings: dict,
) -> list[list[Codes]]:
    """Generate `copies` of each document: its prompt, then the image's codes with new ones in free cells."""
    codec = model.codec
    fixed = masked_codes(codec, images, free)
    documents = [inpainting_prompt(model, *inputs) for inputs in zip(images, free, prompts, strict=True)]
    shared = {"target": "image", "sampling": override_sampling(model.sampling, settings)}
    requests = [
        Request(prompt=prompt, fixed=codes, copy=copy, seed=seed, **shared)
        for prompt, codes, seed in zip(codec.encode_prompts(documents), fixed, seeds, strict=True)
        for copy in range(copies)
    ]
    options = {"batch_size": batch_size, "compile": model.compile, "on_step": on_step}
    return generate(model.model, codec, requests, **options)


def _fit_scores(
    model: DocumentModel,
    documents: Sequence[Sequence[Codes]],
    drawn: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    batch_size: int,
) -> list[float]:
    """Compute log p(all codes of the image | its prompt) + log p(prompt | image) of each sample.

    The first term measures how a sample fits the cells that stay, the second how it fits the prompt: by the
    first alone, nearly empty images would win.
    """
    image_scores = scores(model.model, model.codec, documents, batch_size=batch_size)
    prompt_scores = caption_scores(model, drawn, prompts, batch_size=batch_size)
    return [image.log_probability + prompt for image, prompt in zip(image_scores, prompt_scores, strict=True)]
