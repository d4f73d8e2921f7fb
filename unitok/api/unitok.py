"""UniTok: draw, caption, answer, edit, rank, save and load. Knows no training."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image

from unitok.api import arguments, editing, ranking
from unitok.api.arguments import Images, Real, Texts, Whole, texts, whole
from unitok.api.document_model import DocumentModel
from unitok.api.model_card import model_card
from unitok.api.model_folder import Parts, load, save
from unitok.api.request_builder import each, seeds
from unitok.document import Document, Segment


class UniTok(DocumentModel):
    """A model with the calls for each task, in one folder; arguments as of DocumentModel."""

    # -- one folder

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json, image_tokenizer/, README.md, sha256.json.

        The folder is complete or absent: it is written beside its place and then renamed.
        """
        parts = Parts(self.model, self.codec, self.sampling, self.example_prompts, self.chat, self.fills)
        save(parts, directory, card=model_card(parts))

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        verify: bool = False,
        compile: bool = False,
    ) -> "UniTok":
        """Load a folder that `save_pretrained` wrote.

        Args:
            directory: the folder.
            device: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU where there is one.
            dtype: "float32", "bfloat16", …; "auto" is bfloat16 on a GPU and float32 on a CPU.
            verify: compare every file with its sha256.
            compile: write by compiled steps.

        Raises:
            FileNotFoundError: the folder or one of its files is missing.
            ValueError: a file is damaged, of another format, or does not fit the others.
        """
        parts = load(directory, device=device, dtype=dtype, verify=verify)
        return cls(
            parts.model,
            parts.codec,
            sampling=parts.sampling,
            example_prompts=parts.example_prompts,
            chat=parts.chat,
            fills=parts.fills,
            compile=compile,
        )

    # -- what people ask of it

    def draw(
        self,
        prompts: Texts,
        *,
        n: Whole = 1,
        guidance_scale: Real | None = None,
        temperature: Real | None = None,
        top_k: Whole | None = None,
        top_p: Real | None = None,
        seed: Whole | Iterable[Whole] | None = 0,
        size: Iterable[Whole] | None = None,
        best_of: Whole = 1,
        negative: Texts | None = None,
        batch_size: Whole = 32,
        speculate: Whole = 0,
    ) -> list[Image.Image]:
        """Pictures of the prompts: one flat list, prompt by prompt, `n` of each.

        Args:
            prompts: one text or several.
            n: pictures of each prompt.
            guidance_scale, temperature, top_k, top_p: see Sampling; None takes the model's own default.
            seed: one for all prompts, or one each. The same seed and prompt give the same picture in any
                batch. None draws one for each by torch's own generator.
            size: (height, width) in pixels, for models that draw several sizes; None lets the model choose.
            best_of: drawings made for each one that is returned: that from which the prompt is likeliest.
            negative: what guidance leads away from, one for all prompts or one each; None for nothing.
            batch_size: pictures drawn at once.
            speculate: codes that are guessed ahead and verified together; it changes no picture.

        Raises:
            ValueError: an argument is of another kind than it says here, or the model cannot draw so.
        """
        prompts = texts(prompts, "prompts")
        n, best_of = whole(n, "n", least=1), whole(best_of, "best_of", least=1)
        copies = n * best_of
        documents = self.generate(
            [(Segment("text", prompt),) for prompt in prompts for _ in range(copies)],
            target="image",
            guidance_scale=guidance_scale,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=[s for s in seeds(seed, len(prompts)) for _ in range(copies)],
            copies=list(range(copies)) * len(prompts),
            negatives=self._negatives(negative, prompts, copies),
            size=size,
            batch_size=batch_size,
            speculate=speculate,
        )
        drawn = [document[-1].content for document in documents]
        if best_of == 1:
            return drawn
        asked = [prompt for prompt in prompts for _ in range(n)]
        return ranking.best_of(self, drawn, asked, copies=best_of, batch_size=batch_size)

    def _negatives(
        self, negative: Texts | None, prompts: Sequence[str], copies: int
    ) -> list[Document] | None:
        """A document for each copy of each prompt."""
        if negative is None:
            return None
        unwanted = texts(each(negative, len(prompts), "negative"), "negative")
        return [(Segment("text", text),) for text in unwanted for _ in range(copies)]

    def inpaint(
        self,
        images: Images,
        masks: Images,
        prompts: Texts,
        **settings,
    ) -> list[Image.Image]:
        """Pictures redrawn where their masks are transparent, or white; `settings` as of editing.inpaint."""
        return editing.inpaint(self, images, masks, prompts, **settings)

    def vary(self, images: Images, prompts: Texts, **settings) -> list[Image.Image]:
        """Variations of pictures; a share `keep` of the cells stays; `settings` as of editing.vary."""
        return editing.vary(self, images, prompts, **settings)

    def edit(
        self,
        images: Images,
        instructions: Texts,
        **settings,
    ) -> list[Image.Image]:
        """Pictures as instructions change them; `settings` as of editing.change."""
        return editing.change(self, images, instructions, **settings)

    def caption(
        self,
        images: Images,
        *,
        max_new_tokens: Whole | None = None,
        batch_size: Whole = 32,
    ) -> list[str]:
        """The most likely caption of each picture, id by id; pictures are resized to the model's size."""
        prompts = [(Segment("image", image),) for image in arguments.images(images)]
        return self._texts(prompts, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def answer(
        self,
        images: Images,
        questions: Texts,
        *,
        choices: Iterable[str] | None = (),
        max_new_tokens: Whole | None = None,
        batch_size: Whole = 32,
    ) -> list[str]:
        """The most likely answer to each picture's question, id by id; one question may stand for all.

        Args:
            images, questions: as many of each, or one question.
            choices: texts of which each answer is one; any text where there are none.
            max_new_tokens: of an answer that may be any text; None is the model's own default.
            batch_size: pictures at once.
        """
        images = arguments.images(images)
        asked = texts(each(questions, len(images), "question", of="pictures"), "questions")
        pairs = zip(images, asked, strict=True)
        prompts = [(Segment("image", image), Segment("text", question)) for image, question in pairs]
        return self._texts(prompts, choices=choices, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def _texts(self, prompts: Sequence[Document], **options) -> list[str]:
        """The most likely text after each document, id by id; options as of `generate`."""
        documents = self.generate(prompts, target="text", temperature=0.0, guidance_scale=1.0, **options)
        return [document[-1].content for document in documents]

    def classify(self, images: Images, labels: Iterable[str], **settings) -> list[dict[str, float]]:
        """Each label's probability among the labels, for each picture; `settings` as of ranking.classify."""
        return ranking.classify(self, images, labels, **settings)

    def rank(self, images: Images, text: str, *, batch_size: Whole = 32) -> list[tuple[int, float]]:
        """Numbers of the pictures with log p(text | picture), the likeliest first."""
        return ranking.rank(self, images, text, batch_size=batch_size)

    def mutual_information(
        self, images: Images, texts: Texts, *, batch_size: Whole = 32
    ) -> list[list[float]]:
        """log p(text | picture) - log p(text) in nats: a row a picture, a column a text."""
        table = ranking.table(self, images, texts, batch_size=batch_size)
        return [[cell.mutual_information for cell in row] for row in table]
