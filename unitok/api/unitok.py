"""UniTok: draw, caption, answer, edit, rank, save and load. Knows no training."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from unitok.api import editing, ranking
from unitok.api.arguments import FloatLike, Images, IntLike, Texts, as_device, as_images, as_int, as_texts
from unitok.api.document_model import DocumentModel
from unitok.api.hub import model_folder_of
from unitok.api.model_card import model_card
from unitok.api.model_folder import Parts, load, save
from unitok.api.request_builder import as_seeds, one_each
from unitok.document import Document, Segment


class UniTok(DocumentModel):
    """A model with a method for each task, saved as one folder; arguments are those of DocumentModel."""

    # -- saving and loading

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json, image_tokenizer/, README.md, sha256.json.

        The folder is never partial: it is written beside its place and then renamed.
        """
        parts = Parts(*(getattr(self, name) for name in Parts._fields))
        save(parts, directory, card=model_card(parts))

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        *,
        device: str | int | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        verify: bool = False,
        compile: bool = False,
        torch_dtype: str | torch.dtype | None = None,
        device_map: str | int | torch.device | dict | None = None,
        **hub: Any,
    ) -> "UniTok":
        """Load a folder that `save_pretrained` wrote.

        Args:
            directory: the folder, "bundled" for the model inside the package, or USER/NAME on the Hub.
            device: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU if there is one.
            dtype: "float32", "bfloat16", …; "auto" is bfloat16 on a GPU and float32 on a CPU.
            verify: check the sha256 of every file.
            compile: compile the engine's steps.
            torch_dtype, device_map: transformers' names of dtype and device; `device_map` is one device.
            hub: options of the Hub, see hub.model_folder_of.

        Raises:
            FileNotFoundError: the folder or one of its files is missing.
            ValueError: a file is corrupt, of another format, or does not fit the others.
        """
        device = as_device(device if device_map is None else device_map)
        dtype = dtype if torch_dtype is None else torch_dtype
        parts = load(model_folder_of(directory, **hub), device=device, dtype=dtype, verify=verify)
        return cls(
            parts.model,
            parts.codec,
            sampling=parts.sampling,
            example_prompts=parts.example_prompts,
            chat=parts.chat,
            fills=parts.fills,
            tasks=parts.tasks,
            compile=compile,
        )

    # -- tasks

    def draw(
        self,
        prompts: Texts,
        *,
        n: IntLike = 1,
        best_of: IntLike = 1,
        seed: IntLike | Iterable[IntLike] | None = 0,
        size: Iterable[IntLike] | None = None,
        negative: Texts | None = None,
        batch_size: IntLike = 32,
        speculate: IntLike = 0,
        on_step: Callable[[int], object] | None = None,
        **settings: FloatLike | None,
    ) -> list[Image.Image]:
        """Draw images from text prompts.

        Args:
            prompts: one text or several.
            n: images per prompt.
            best_of: samples per returned image, reranked by log p(prompt | image).
            seed: one for all prompts, or one each. The same seed and prompt give the same image in any batch.
                None takes one per prompt from torch's generator.
            size: (height, width) in pixels, for models that draw several sizes; None lets the model choose.
            negative: negative prompts, one for all prompts or one each; None for none.
            batch_size: images drawn at once.
            speculate: codes guessed ahead and verified in one step; it changes the speed, not the images.
            on_step: called with the number of each step after it.
            settings: fields of Sampling, such as temperature, top_k, top_p, guidance_scale; None takes the
                model's default.

        Returns:
            One flat list, prompt by prompt, `n` images of each.

        Raises:
            ValueError: an argument is of the wrong type or out of range, or a setting is unknown.
        """
        prompts = as_texts(prompts, "prompts")
        n, best_of = as_int(n, "n", minimum=1), as_int(best_of, "best_of", minimum=1)
        copies = n * best_of
        documents = self.generate(
            [(Segment("text", prompt),) for prompt in prompts for _ in range(copies)],
            target="image",
            seed=[s for s in as_seeds(seed, len(prompts)) for _ in range(copies)],
            copies=list(range(copies)) * len(prompts),
            negatives=self._negatives(negative, prompts, copies),
            size=size,
            batch_size=batch_size,
            speculate=speculate,
            on_step=on_step,
            **settings,
        )
        samples = [document[-1].content for document in documents]
        if best_of == 1:
            return samples
        repeated = [prompt for prompt in prompts for _ in range(n)]
        return ranking.rerank(self, samples, repeated, copies=best_of, batch_size=batch_size)

    def _negatives(
        self, negative: Texts | None, prompts: Sequence[str], copies: int
    ) -> list[Document] | None:
        """The negative prompt of each copy of each prompt, as a document."""
        if negative is None:
            return None
        texts = as_texts(one_each(negative, len(prompts), "negative"), "negative")
        return [(Segment("text", text),) for text in texts for _ in range(copies)]

    def inpaint(
        self,
        images: Images,
        masks: Images,
        prompts: Texts,
        **settings,
    ) -> list[Image.Image]:
        """Redraw images where their masks are transparent or white; `settings` as in editing.inpaint."""
        return editing.inpaint(self, images, masks, prompts, **settings)

    def vary(self, images: Images, prompts: Texts, **settings) -> list[Image.Image]:
        """Draw variations of images that keep a share `keep` of the cells; `settings` as in editing.vary."""
        return editing.vary(self, images, prompts, **settings)

    def edit(
        self,
        images: Images,
        instructions: Texts,
        **settings,
    ) -> list[Image.Image]:
        """Edit images by instructions; `settings` as in editing.apply_instructions."""
        return editing.apply_instructions(self, images, instructions, **settings)

    def caption(
        self,
        images: Images,
        *,
        max_new_tokens: IntLike | None = None,
        batch_size: IntLike = 32,
    ) -> list[str]:
        """Write the greedy caption of each image, resized to the model's size."""
        prompts = [(Segment("image", image),) for image in as_images(images)]
        return self._texts(prompts, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def answer(
        self,
        images: Images,
        questions: Texts,
        *,
        choices: Iterable[str] | None = (),
        max_new_tokens: IntLike | None = None,
        batch_size: IntLike = 32,
    ) -> list[str]:
        """Write the greedy answer to a question about each image.

        Args:
            images: one or several.
            questions: one for all images, or one each.
            choices: texts to choose the answer from; if empty, it is free text.
            max_new_tokens: most ids of a free-text answer; None takes the model's default.
            batch_size: images at once.
        """
        images = as_images(images)
        questions = as_texts(one_each(questions, len(images), "questions", per="image"), "questions")
        pairs = zip(images, questions, strict=True)
        prompts = [(Segment("image", image), Segment("text", question)) for image, question in pairs]
        return self._texts(prompts, choices=choices, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def _texts(self, prompts: Sequence[Document], **options) -> list[str]:
        """Write the greedy text after each document; options are those of `generate`."""
        documents = self.generate(prompts, target="text", temperature=0.0, guidance_scale=1.0, **options)
        return [document[-1].content for document in documents]

    def classify(self, images: Images, labels: Iterable[str], **settings) -> list[dict[str, float]]:
        """Classify images zero-shot: the probability of each label; `settings` as in ranking.classify."""
        return ranking.classify(self, images, labels, **settings)

    def rank(self, images: Images, text: str, *, batch_size: IntLike = 32) -> list[tuple[int, float]]:
        """Rank images by log p(text | image): their indices with the score, the highest first."""
        return ranking.rank(self, images, text, batch_size=batch_size)

    def mutual_information(
        self, images: Images, texts: Texts, *, batch_size: IntLike = 32
    ) -> list[list[float]]:
        """Compute log p(text | image) - log p(text) in nats, of every image (row) and text (column)."""
        affinities = ranking.affinities(self, images, texts, batch_size=batch_size)
        return [[affinity.mutual_information for affinity in row] for row in affinities]
