"""Pipelines of diffusers: images from texts and images. Knows a model's public calls alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from unitok.api import arguments
from unitok.api.arguments import FloatLike, IntLike, Texts, as_float, as_images, as_int, as_masks, as_texts
from unitok.interop.pipelines.base import Generators, Pipeline, generation_settings, seeds_of

Callback = Callable[[Pipeline, int, int, dict], Any]


class Images(NamedTuple):
    """The output of diffusers' pipelines: images, prompt by prompt; also the tuple of `return_dict=False`."""

    images: list[Image.Image] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Drawing(Pipeline):
    """A pipeline of diffusers; `options` of its calls are the arguments of `_draw`."""

    def _draw(
        self,
        draw: Callable[..., list[Image.Image]],
        inputs: Mapping[str, Sequence],
        *,
        num_images_per_prompt: IntLike = 1,
        generator: Generators = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callback | None = None,
        **settings: Any,
    ) -> Images:
        """Draw images.

        Args:
            draw: a method of the model.
            inputs: its arguments, each a list with one item per prompt.
            num_images_per_prompt: images per prompt.
            generator: source of the seeds, one for all images or one each; None takes torch's own.
            output_type: "pil"; "np", float [n, h, w, 3] in 0..1; or "pt", float [n, 3, h, w] in 0..1.
            return_dict: as in diffusers; the result is a tuple with `images` either way.
            callback_on_step_end: called after each step of decoding with the pipeline, the step, the step
                again for want of a timestep, and an empty dict; an error that it raises ends the call.
            settings: fields of Sampling, such as guidance_scale, temperature, top_k, top_p; None takes the
                model's default.

        Raises:
            ValueError: an unknown setting or output_type, too many or too few generators, or an argument of
                the wrong type.
        """
        if output_type not in OUTPUTS:
            raise ValueError(f"unknown output_type {output_type!r}; known: {', '.join(OUTPUTS)}")
        n = as_int(num_images_per_prompt, "num_images_per_prompt", minimum=1)
        repeated = {name: [one for one in values for _ in range(n)] for name, values in inputs.items()}
        images = draw(
            **repeated,
            seed=seeds_of(generator, max(map(len, repeated.values()))),
            on_step=None if callback_on_step_end is None else partial(self._call_back, callback_on_step_end),
            **generation_settings(None, settings),
        )
        return Images(OUTPUTS[output_type](images))

    def _call_back(self, callback: Callback, step: int) -> None:
        callback(self, step, step, {})


@dataclass(frozen=True)
class TextToImage(Drawing):
    """Draws images from prompts, with diffusers' arguments."""

    def __call__(
        self,
        prompt: Texts,
        *,
        height: IntLike | None = None,
        width: IntLike | None = None,
        negative_prompt: Texts | None = None,
        **options: Any,
    ) -> Images:
        """Draw images.

        Args:
            prompt: one text or several.
            height, width: pixels, both or none, for models that draw several sizes.
            negative_prompt: one for all prompts or one each.
            options: see Drawing._draw.

        Raises:
            ValueError: only one of height and width, or an invalid option.
        """
        if (height is None) != (width is None):
            raise ValueError(f"height and width must be given together, got {height} and {width}")
        prompts = as_texts(prompt, "prompt")
        inputs = {"prompts": prompts}
        if negative_prompt is not None:
            negatives = as_texts(negative_prompt, "negative_prompt")
            inputs["negative"] = negatives * len(prompts) if isinstance(negative_prompt, str) else negatives
        draw = partial(self.model.draw, size=None if height is None else (height, width))
        return self._draw(draw, inputs, **options)


@dataclass(frozen=True)
class ImageToImage(Drawing):
    """Edits images by instructions, or draws variations of them, with diffusers' arguments."""

    def __call__(
        self, prompt: Texts, image: arguments.Images, *, strength: FloatLike | None = None, **options: Any
    ) -> Images:
        """Edit images.

        Args:
            prompt: one text per image: an instruction, or with `strength` what the image shows.
            image: one or several.
            strength: share of the cells that are drawn anew, in (0, 1]; None edits by instruction, for which
                the model must be trained.
            options: see Drawing._draw.

        Raises:
            ValueError: different numbers of prompts and images, or an invalid option.
        """
        texts, images = as_texts(prompt, "prompt"), as_images(image, "image")
        if strength is None:
            return self._draw(self.model.edit, {"images": images, "instructions": texts}, **options)
        strength = as_float(strength, "strength")
        if not 0 < strength <= 1:
            raise ValueError(f"strength must be in (0, 1], got {strength}")
        vary = partial(self.model.vary, keep=1 - strength)
        return self._draw(vary, {"images": images, "prompts": texts}, **options)


@dataclass(frozen=True)
class Inpainting(Drawing):
    """Redraws images where their masks are white or transparent, with diffusers' arguments."""

    def __call__(
        self, prompt: Texts, image: arguments.Images, mask_image: arguments.Images, **options: Any
    ) -> Images:
        """Redraw images.

        Args:
            prompt, image, mask_image: one of each, or equally many; a prompt describes the whole image.
            options: see Drawing._draw.

        Raises:
            ValueError: different numbers of prompts, images and masks, or an invalid option.
        """
        inputs = {
            "images": as_images(image, "image"),
            "masks": as_masks(mask_image, "mask_image"),
            "prompts": as_texts(prompt, "prompt"),
        }
        return self._draw(self.model.inpaint, inputs, **options)


def _to_array(images: Sequence[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image, np.float32) / 255 for image in images])


OUTPUTS = {
    "pil": list,
    "np": _to_array,
    "pt": lambda images: torch.from_numpy(_to_array(images)).permute(0, 3, 1, 2),
}
