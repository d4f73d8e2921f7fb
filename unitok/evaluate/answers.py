"""Greedy answers after prompts, and their contact sheet. Knows only a model's public calls."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from unitok.api.contact_sheet import sheet, side_by_side
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.evaluate.report import MAX_SHOWN
from unitok.modalities.geometry import Box, parse_boxes

MAX_ANSWER = 16  # ids
YES_NO = ("yes", "no")


def generate_answers(model: UniTok, prompts: Sequence[Document], *, batch_size: int) -> list[str]:
    """The greedy text after each prompt."""
    return _generate(model, prompts, target="text", batch_size=batch_size)


def generate_boxes(model: UniTok, prompts: Sequence[Document], *, batch_size: int) -> list[Box | None]:
    """The greedy box after each prompt; from a model without boxes, the first box in its text, or None."""
    if "box" in model.codec.modalities:
        return _generate(model, prompts, target="box", batch_size=batch_size)
    parsed = [parse_boxes(text) for text in generate_answers(model, prompts, batch_size=batch_size)]
    return [boxes[0] if boxes else None for boxes in parsed]


def choose_likeliest(
    model: UniTok, prompts: Sequence[Document], texts: Sequence[str], *, batch_size: int
) -> list[str]:
    """The most likely of several texts after each prompt."""
    documents = [(*prompt, Segment("text", text)) for prompt in prompts for text in texts]
    scores = iter(model.score(documents, batch_size=batch_size))
    return [max((next(scores).log_probability, text) for text in texts)[1] for _ in prompts]


def _generate(model: UniTok, prompts: Sequence[Document], *, target: str, batch_size: int) -> list[Any]:
    documents = model.generate(
        prompts,
        target=target,
        temperature=0.0,
        guidance_scale=1.0,
        max_new_tokens=MAX_ANSWER,
        batch_size=batch_size,
    )
    return [document[-1].content for document in documents]


def answers_sheet(
    prompts: Sequence[Document], answers: Sequence[str], right: Sequence[bool], **layout: int
) -> Image.Image:
    """Contact sheet of images with questions and answers, right answers in green and wrong ones in red;
    `layout` as of `sheet`."""
    shown = list(zip(prompts, answers, right, strict=True))[:MAX_SHOWN]
    return sheet(
        [side_by_side([s.content for s in prompt if s.modality == "image"]) for prompt, _, _ in shown],
        [" ".join([*_texts(prompt), text]) for prompt, text, _ in shown],
        marks=[mark for _, _, mark in shown],
        **layout,
    )


def _texts(document: Document) -> list[str]:
    return [segment.content for segment in document if segment.modality == "text"]


def prefix_names(prefix: str, scores: Any) -> dict[str, float]:
    """Fields of a NamedTuple by their names, with a prefix."""
    return {f"{prefix}_{name}": value for name, value in scores._asdict().items()}
