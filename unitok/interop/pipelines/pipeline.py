"""The function `pipeline`, and the tasks it knows."""

from pathlib import Path
from typing import Any

import torch

from unitok.api.unitok import UniTok
from unitok.interop.pipelines.base import Pipeline
from unitok.interop.pipelines.drawing import ImageToImage, Inpainting, TextToImage
from unitok.interop.pipelines.reading import (
    AnyToAny,
    ImageTextToText,
    ImageToText,
    VisualQuestionAnswering,
    ZeroShotImageClassification,
)

TASKS: dict[str, type[Pipeline]] = {
    "any-to-any": AnyToAny,
    "text-to-image": TextToImage,
    "image-to-image": ImageToImage,
    "inpainting": Inpainting,
    "image-to-text": ImageToText,
    "image-text-to-text": ImageTextToText,
    "visual-question-answering": VisualQuestionAnswering,
    "zero-shot-image-classification": ZeroShotImageClassification,
}


def pipeline(
    task: str = "any-to-any",
    model: str | Path | UniTok | None = None,
    *,
    device: str | int | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    **options: Any,
) -> Pipeline:
    """Build the pipeline of a task.

    Args:
        task: one of TASKS.
        model: a loaded model, or its folder or name, loaded with `device`, `dtype` and the options.
        options: those of UniTok.from_pretrained.

    Raises:
        ValueError: an unknown task, or no model.

    Example:
        >>> from unitok import pipeline
        >>> draw = pipeline("text-to-image", "runs/demo/model")  # doctest: +SKIP
        >>> draw("a large red star", num_images_per_prompt=2).images  # doctest: +SKIP
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    if model is None:
        raise ValueError(f"model must be a model's folder or a UniTok, got None: {task} has no default")
    if not isinstance(model, UniTok):
        model = UniTok.from_pretrained(model, device=device, dtype=dtype, **options)
    return TASKS[task](model)
