"""Pipelines by the names and arguments of transformers and diffusers. Knows a model's public calls alone.

The methods of `UniTok` take shorter names; this is for code that was written for the other libraries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image

from unitok.api.arguments import Real, Texts, Whole, listed, texts, told, whole
from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate, Role, Turn
from unitok.data.files.images import load_image
from unitok.document import Document, Segment

Picture = str | Path | Image.Image
Pictures = Picture | Iterable[Picture]
Generators = torch.Generator | Sequence[torch.Generator] | None
SEEDS = 2**31


def pipeline(
    task: str,
    model: str | Path | UniTok,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> "AnyToAny | TextToImage | ImageToText":
    """What carries out a task with a model.

    Args:
        task: "any-to-any", "text-to-image" or "image-to-text".
        model: its folder, or an open one; `device` and `dtype` are for opening it.

    Raises:
        ValueError: an unknown task.

    Example:
        >>> from unitok import pipeline
        >>> draw = pipeline("text-to-image", "runs/demo/model")  # doctest: +SKIP
        >>> draw("a large red star", num_images_per_prompt=2).images  # doctest: +SKIP
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
    if not isinstance(model, UniTok):
        model = UniTok.from_pretrained(model, device=device, dtype=dtype)
    return TASKS[task](model)


@dataclass(frozen=True)
class Images:
    """What diffusers' pipelines return: pictures, prompt by prompt."""

    images: list[Image.Image] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class TextToImage:
    """Draws prompts, with diffusers' arguments."""

    model: UniTok

    def __call__(
        self,
        prompt: Texts,
        *,
        height: Whole | None = None,
        width: Whole | None = None,
        negative_prompt: Texts | None = None,
        num_images_per_prompt: Whole = 1,
        guidance_scale: Real | None = None,
        temperature: Real | None = None,
        top_k: Whole | None = None,
        top_p: Real | None = None,
        generator: Generators = None,
        output_type: str = "pil",
    ) -> Images:
        """Pictures of the prompts.

        Args:
            prompt: one text or several.
            height, width: pixels, both or none, for models that draw several sizes.
            negative_prompt: what guidance leads away from, one for all prompts or one each.
            num_images_per_prompt: pictures of each prompt.
            guidance_scale, temperature, top_k, top_p: see Sampling; None is the model's own default.
            generator: gives the seeds, one for all or one a picture; None is torch's own.
            output_type: "pil"; "np", float [n, h, w, 3] in 0..1; or "pt", float [n, 3, h, w] in 0..1.

        Raises:
            ValueError: only one of height and width, an unknown output_type, too many or few generators, or
                an argument of another kind.
        """
        if (height is None) != (width is None):
            raise ValueError(f"give both height and width, not {height} and {width}")
        if output_type not in OUTPUTS:
            raise ValueError(f"unknown output_type {output_type!r}; known: {', '.join(OUTPUTS)}")
        prompts = texts(prompt, "prompt")
        n = whole(num_images_per_prompt, "num_images_per_prompt", least=1)
        asked = [text for text in prompts for _ in range(n)]
        pictures = self.model.draw(
            asked,
            seed=_seeds(generator, len(asked)),
            size=None if height is None else (height, width),
            negative=_repeated(negative_prompt, n),
            guidance_scale=guidance_scale,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        return Images(OUTPUTS[output_type](pictures))


@dataclass(frozen=True)
class ImageToText:
    """Captions pictures, with transformers' arguments."""

    model: UniTok

    def __call__(
        self,
        inputs: Pictures,
        *,
        max_new_tokens: Whole | None = None,
        batch_size: Whole = 32,
    ) -> list:
        """[{"generated_text": …}] of one picture, and a list of such lists of several.

        Args:
            inputs: pictures, or the paths of their files.
            max_new_tokens: longest caption, in ids; None is the model's own default.
            batch_size: pictures at once.
        """
        single = isinstance(inputs, Picture)
        pictures = [_opened(picture) for picture in _pictures(inputs, "inputs")]
        captions = self.model.caption(pictures, max_new_tokens=max_new_tokens, batch_size=batch_size)
        results = [[{"generated_text": text}] for text in captions]
        return results[0] if single else results


@dataclass(frozen=True)
class AnyToAny:
    """Continues text and pictures by text or pictures, with transformers' arguments."""

    model: UniTok

    def __call__(
        self,
        text: Texts | Iterable[dict] | None = None,
        images: Pictures | None = None,
        *,
        generation_mode: str | None = None,
        max_new_tokens: Whole | None = None,
        temperature: Real | None = None,
        top_k: Whole | None = None,
        top_p: Real | None = None,
        guidance_scale: Real | None = None,
        generator: torch.Generator | None = None,
    ) -> list[dict[str, Any]]:
        """A dict a prompt: input_text, and the first generated_text and generated_image.

        Args:
            text: a text, several, or a chat: [{"role": …, "content": text or [{"type": "text", "text": …},
                {"type": "image", "image": …}]}].
            images: as many pictures as texts, or paths; they come before their text.
            generation_mode: "text", "image", or None: the model chooses, and all that it wrote is in
                `generated_segments`.
            max_new_tokens, temperature, top_k, top_p, guidance_scale: None is the model's own default.
            generator: gives the seed; None is torch's own.

        Raises:
            ValueError: neither text nor pictures, not as many of each, or a message in another format.
        """
        documents, said = _prompts(text, images, self.model.chat)
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
            _result(asked, new[len(known) :])
            for asked, known, new in zip(said, documents, continued, strict=True)
        ]


def _result(asked: Any, written: Document) -> dict[str, Any]:
    result = {"input_text": asked, "generated_segments": [segment.content for segment in written]}
    for segment in written:
        result.setdefault(f"generated_{segment.modality}", segment.content)
    return result


def _prompts(text: Any, images: Any, template: ChatTemplate) -> tuple[list[Document], list[Any]]:
    """Documents, and what `input_text` says of each."""
    if text is None and images is None:
        raise ValueError("give text, images, or both")
    several = text if text is None or isinstance(text, str) else listed(text, "text", of="texts or messages")
    if several and isinstance(several[0], dict):
        return [template.prompt([_turn(message) for message in several])], [text]
    said = None if several is None else texts(several, "text")
    pictures = None if images is None else _pictures(images, "images")
    if said is not None and pictures is not None and len(said) != len(pictures):
        raise ValueError(f"{len(said)} texts and {len(pictures)} images: not as many")
    count = len(pictures if said is None else said)
    shown = [()] * count if pictures is None else [(Segment("image", _opened(p)),) for p in pictures]
    asked = [()] * count if said is None else [(Segment("text", t),) for t in said]
    documents = [(*before, *after) for before, after in zip(shown, asked, strict=True)]
    return documents, said or [""] * count


def _pictures(value: Pictures, name: str) -> list[Picture]:
    return [value] if isinstance(value, Picture) else listed(value, name, of="images or paths")


def _turn(message: dict) -> Turn:
    """What a message of a chat says."""
    if not isinstance(message, dict):
        raise ValueError(f"a message must be a dict of role and content, got {told(message)}")
    role, content = message.get("role", "user"), message.get("content")
    if role not in get_args(Role):
        raise ValueError(f"a message's role is one of {', '.join(get_args(Role))}, not {role!r}")
    if isinstance(content, str):
        return Turn(role, (Segment("text", content),))
    parts = [] if content is None else listed(content, "a message's content", of="parts")
    return Turn(role, tuple(map(_part, parts)))


def _part(part: dict) -> Segment:
    if not isinstance(part, dict):
        raise ValueError(f"a message's part must be a dict with a type, got {told(part)}")
    if part.get("type") == "text":
        return Segment("text", part.get("text"))
    if part.get("type") == "image":
        picture = next((part[key] for key in ("image", "path", "url") if key in part), None)
        return Segment("image", _opened(picture))
    raise ValueError(f"a message's parts are of type text or image, not {part.get('type')!r}")


def _opened(picture: Picture) -> Image.Image:
    """A picture, read where it is a path; nothing is fetched."""
    if isinstance(picture, Image.Image):
        return picture
    if not isinstance(picture, str | Path):
        raise ValueError(f"an image must be a PIL image or a path, got {told(picture)}")
    if str(picture).startswith(("http://", "https://")):
        raise ValueError(f"{picture}: addresses are not fetched; give a file or a PIL image")
    return load_image(picture)


def _seeds(generator: Generators, count: int) -> list[int]:
    """A seed each; generators move on, as where they give noise."""
    if not isinstance(generator, torch.Generator | Sequence | None) or isinstance(generator, str):
        raise ValueError(f"generator must be a torch.Generator or a list of some, got {told(generator)}")
    if isinstance(generator, Sequence):
        if len(generator) != count:
            raise ValueError(f"{count} pictures need one generator or {count}, not {len(generator)}")
        return [seed for one in generator for seed in _seeds(one, 1)]
    device = generator.device if generator is not None else "cpu"
    return torch.randint(SEEDS, (count,), generator=generator, device=device).tolist()


def _repeated(negative: Texts | None, n: int) -> str | list[str] | None:
    if negative is None or isinstance(negative, str):
        return negative
    return [text for text in texts(negative, "negative_prompt") for _ in range(n)]


def _arrays(pictures: Sequence[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture, np.float32) / 255 for picture in pictures])


OUTPUTS = {
    "pil": list,
    "np": _arrays,
    "pt": lambda pictures: torch.from_numpy(_arrays(pictures)).permute(0, 3, 1, 2),
}
TASKS = {"any-to-any": AnyToAny, "text-to-image": TextToImage, "image-to-text": ImageToText}
