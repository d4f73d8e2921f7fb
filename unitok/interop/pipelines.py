"""Pipelines by the names and arguments of transformers and diffusers. Knows a model's public calls alone.

The methods of `UniTok` have shorter names; this is for code that was written for the other libraries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image

from unitok.api.arguments import FloatLike, IntLike, Texts, as_int, as_list, as_texts, describe
from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate, Role, Turn
from unitok.data.files.images import load_image
from unitok.document import Document, Segment

ImageSource = str | Path | Image.Image
ImageSources = ImageSource | Iterable[ImageSource]
Generators = torch.Generator | Sequence[torch.Generator] | None
SEEDS = 2**31


def pipeline(
    task: str,
    model: str | Path | UniTok,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> "AnyToAny | TextToImage | ImageToText":
    """Build the pipeline of a task.

    Args:
        task: "any-to-any", "text-to-image" or "image-to-text".
        model: a loaded model, or its folder, loaded with `device` and `dtype`.

    Raises:
        ValueError: an unknown task.

    Example:
        >>> from unitok import pipeline
        >>> draw = pipeline("text-to-image", "runs/demo/model")  # doctest: +SKIP
        >>> draw("a large red star", num_images_per_prompt=2).images  # doctest: +SKIP
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    if not isinstance(model, UniTok):
        model = UniTok.from_pretrained(model, device=device, dtype=dtype)
    return TASKS[task](model)


@dataclass(frozen=True)
class Images:
    """The output of diffusers' pipelines: images, prompt by prompt."""

    images: list[Image.Image] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class TextToImage:
    """Draws images from prompts, with diffusers' arguments."""

    model: UniTok

    def __call__(
        self,
        prompt: Texts,
        *,
        height: IntLike | None = None,
        width: IntLike | None = None,
        negative_prompt: Texts | None = None,
        num_images_per_prompt: IntLike = 1,
        guidance_scale: FloatLike | None = None,
        temperature: FloatLike | None = None,
        top_k: IntLike | None = None,
        top_p: FloatLike | None = None,
        generator: Generators = None,
        output_type: str = "pil",
    ) -> Images:
        """Draw images.

        Args:
            prompt: one text or several.
            height, width: pixels, both or none, for models that draw several sizes.
            negative_prompt: one for all prompts or one each.
            num_images_per_prompt: images per prompt.
            guidance_scale, temperature, top_k, top_p: see Sampling; None takes the model's default.
            generator: source of the seeds, one for all images or one each; None takes torch's own.
            output_type: "pil"; "np", float [n, h, w, 3] in 0..1; or "pt", float [n, 3, h, w] in 0..1.

        Raises:
            ValueError: only one of height and width, an unknown output_type, too many or too few generators,
                or an argument of the wrong type.
        """
        if (height is None) != (width is None):
            raise ValueError(f"height and width must be given together, got {height} and {width}")
        if output_type not in OUTPUTS:
            raise ValueError(f"unknown output_type {output_type!r}; known: {', '.join(OUTPUTS)}")
        prompts = as_texts(prompt, "prompt")
        n = as_int(num_images_per_prompt, "num_images_per_prompt", minimum=1)
        repeated = [text for text in prompts for _ in range(n)]
        images = self.model.draw(
            repeated,
            seed=_seeds(generator, len(repeated)),
            size=None if height is None else (height, width),
            negative=_repeat(negative_prompt, n),
            guidance_scale=guidance_scale,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        return Images(OUTPUTS[output_type](images))


@dataclass(frozen=True)
class ImageToText:
    """Captions images, with transformers' arguments."""

    model: UniTok

    def __call__(
        self,
        inputs: ImageSources,
        *,
        max_new_tokens: IntLike | None = None,
        batch_size: IntLike = 32,
    ) -> list:
        """Caption images: [{"generated_text": …}] for one, a list of such lists for several.

        Args:
            inputs: images, or paths of image files.
            max_new_tokens: most ids of a caption; None takes the model's default.
            batch_size: images at once.
        """
        single = isinstance(inputs, ImageSource)
        images = [_load(source) for source in _as_sources(inputs, "inputs")]
        captions = self.model.caption(images, max_new_tokens=max_new_tokens, batch_size=batch_size)
        results = [[{"generated_text": text}] for text in captions]
        return results[0] if single else results


@dataclass(frozen=True)
class AnyToAny:
    """Continues text and images with text or images, with transformers' arguments."""

    model: UniTok

    def __call__(
        self,
        text: Texts | Iterable[dict] | None = None,
        images: ImageSources | None = None,
        *,
        generation_mode: str | None = None,
        max_new_tokens: IntLike | None = None,
        temperature: FloatLike | None = None,
        top_k: IntLike | None = None,
        top_p: FloatLike | None = None,
        guidance_scale: FloatLike | None = None,
        generator: torch.Generator | None = None,
    ) -> list[dict[str, Any]]:
        """Generate a dict per prompt: input_text, and the first generated_text and generated_image.

        Args:
            text: a text, several, or a chat: [{"role": …, "content": text or [{"type": "text", "text": …},
                {"type": "image", "image": …}]}].
            images: images or paths, one per text; each precedes its text.
            generation_mode: "text", "image", or None: the model chooses, and everything it generates is in
                `generated_segments`.
            max_new_tokens, temperature, top_k, top_p, guidance_scale: None takes the model's default.
            generator: source of the seed; None takes torch's own.

        Raises:
            ValueError: neither text nor images, different numbers of both, or a message of another format.
        """
        documents, inputs = _prompts(text, images, self.model.chat)
        continued = self.model.generate(
            documents,
            target=generation_mode,
            seed=_seeds(generator, len(documents)),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            guidance_scale=guidance_scale,
        )
        return [
            _result(input_text, document[len(prompt) :])
            for input_text, prompt, document in zip(inputs, documents, continued, strict=True)
        ]


def _result(input_text: Any, generated: Document) -> dict[str, Any]:
    result = {"input_text": input_text, "generated_segments": [segment.content for segment in generated]}
    for segment in generated:
        result.setdefault(f"generated_{segment.modality}", segment.content)
    return result


def _prompts(text: Any, images: Any, template: ChatTemplate) -> tuple[list[Document], list[Any]]:
    """Build documents, with the `input_text` of each result."""
    if text is None and images is None:
        raise ValueError("text or images must be given, got neither")
    several = (
        text if text is None or isinstance(text, str) else as_list(text, "text", of="strings or messages")
    )
    if several and isinstance(several[0], dict):
        return [template.prompt([_turn(message) for message in several])], [text]
    texts = None if several is None else as_texts(several, "text")
    sources = None if images is None else _as_sources(images, "images")
    if texts is not None and sources is not None and len(texts) != len(sources):
        raise ValueError(
            f"texts and images must have the same length, got {len(texts)} texts and {len(sources)} images"
        )
    count = len(sources if texts is None else texts)
    before = [()] * count if sources is None else [(Segment("image", _load(s)),) for s in sources]
    after = [()] * count if texts is None else [(Segment("text", t),) for t in texts]
    documents = [(*image, *text) for image, text in zip(before, after, strict=True)]
    return documents, texts or [""] * count


def _as_sources(value: ImageSources, name: str) -> list[ImageSource]:
    return [value] if isinstance(value, ImageSource) else as_list(value, name, of="images or paths")


def _turn(message: dict) -> Turn:
    """Convert a message of a chat to a turn."""
    if not isinstance(message, dict):
        raise ValueError(f"a message must be a dict of role and content, got {describe(message)}")
    role, content = message.get("role", "user"), message.get("content")
    if role not in get_args(Role):
        raise ValueError(f"a message's role must be one of {', '.join(get_args(Role))}, got {role!r}")
    if isinstance(content, str):
        return Turn(role, (Segment("text", content),))
    parts = [] if content is None else as_list(content, "a message's content", of="parts")
    return Turn(role, tuple(map(_part, parts)))


def _part(part: dict) -> Segment:
    if not isinstance(part, dict):
        raise ValueError(f"a message's part must be a dict with a type, got {describe(part)}")
    if part.get("type") == "text":
        return Segment("text", part.get("text"))
    if part.get("type") == "image":
        source = next((part[key] for key in ("image", "path", "url") if key in part), None)
        return Segment("image", _load(source))
    raise ValueError(f"a message part's type must be text or image, got {part.get('type')!r}")


def _load(source: ImageSource) -> Image.Image:
    """Load an image from its file; a PIL image stays as it is. Fetches nothing."""
    if isinstance(source, Image.Image):
        return source
    if not isinstance(source, str | Path):
        raise ValueError(f"an image must be a PIL image or a path, got {describe(source)}")
    if str(source).startswith(("http://", "https://")):
        raise ValueError(f"{source}: URLs are not fetched; give a file or a PIL image")
    return load_image(source)


def _seeds(generator: Generators, count: int) -> list[int]:
    """Draw a seed for each image; generators advance, as they do in diffusers."""
    if not isinstance(generator, torch.Generator | Sequence | None) or isinstance(generator, str):
        raise ValueError(f"generator must be a torch.Generator or a list of them, got {describe(generator)}")
    if isinstance(generator, Sequence):
        if len(generator) != count:
            raise ValueError(
                f"generator must be one or a list of {count}, one per image, got {len(generator)}"
            )
        return [seed for one in generator for seed in _seeds(one, 1)]
    device = generator.device if generator is not None else "cpu"
    return torch.randint(SEEDS, (count,), generator=generator, device=device).tolist()


def _repeat(negative: Texts | None, n: int) -> str | list[str] | None:
    if negative is None or isinstance(negative, str):
        return negative
    return [text for text in as_texts(negative, "negative_prompt") for _ in range(n)]


def _to_array(images: Sequence[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image, np.float32) / 255 for image in images])


OUTPUTS = {
    "pil": list,
    "np": _to_array,
    "pt": lambda images: torch.from_numpy(_to_array(images)).permute(0, 3, 1, 2),
}
TASKS = {"any-to-any": AnyToAny, "text-to-image": TextToImage, "image-to-text": ImageToText}
