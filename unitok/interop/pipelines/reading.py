"""Pipelines of transformers: text about images, and any content after any other. Knows public calls alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from unitok.api.arguments import (
    Images,
    IntLike,
    Texts,
    as_image,
    as_images,
    as_list,
    as_texts,
    is_one_image,
)
from unitok.api.messages import as_turns, assistant, is_conversation
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.interop.pipelines.base import Pipeline, generation_settings, seeds_of


@dataclass(frozen=True)
class ImageToText(Pipeline):
    """Captions images, with transformers' arguments."""

    def __call__(
        self,
        inputs: Images,
        *,
        batch_size: IntLike = 32,
        generate_kwargs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> list:
        """Caption images: [{"generated_text": …}] for one, a list of such lists for several.

        Args:
            inputs: images.
            batch_size: images at once.
            generate_kwargs, settings: fields of Sampling, such as max_new_tokens; do_sample; streamer, which
                takes the text of one image piece by piece. A caption is greedy unless they say otherwise.
        """
        documents = [(Segment("image", image),) for image in as_images(inputs, "inputs")]
        given = {"temperature": 0.0, "guidance_scale": 1.0, **generation_settings(generate_kwargs, settings)}
        continued = self.model.generate(documents, target="text", batch_size=batch_size, **given)
        results = [[{"generated_text": document[-1].content}] for document in continued]
        return results[0] if is_one_image(inputs) else results


@dataclass(frozen=True)
class ImageTextToText(Pipeline):
    """Answers conversations about images with text, with transformers' arguments."""

    def __call__(
        self,
        images: Images | Iterable[dict] | None = None,
        text: Texts | Iterable[dict] | None = None,
        *,
        return_full_text: bool = True,
        generate_kwargs: Mapping[str, Any] | None = None,
        generator: torch.Generator | None = None,
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """Generate [{"input_text": …, "generated_text": …}], one per prompt.

        Args:
            images: one per text, before it; or those of a conversation's parts that name none.
            text: a text, several, or a conversation, which may come first, too.
            return_full_text: whether generated_text has the prompt before the answer: a text before a text, a
                conversation before the assistant's message.
            generate_kwargs, settings: fields of Sampling, such as max_new_tokens; do_sample; streamer.
            generator: source of the seed; None takes torch's own.

        Raises:
            ValueError: neither text nor images, different numbers of both, or a message of another format.
        """
        if text is None and is_conversation(images):
            images, text = None, images
        documents, inputs = prompts(text, images, self.model)
        continued = self.model.generate(
            documents,
            target="text",
            seed=seeds_of(generator, len(documents)),
            **generation_settings(generate_kwargs, settings),
        )
        answers = [document[-1].content for document in continued]
        full = [_before(inp, answer) for inp, answer in zip(inputs, answers, strict=True)]
        generated = full if return_full_text else answers
        return [
            {"input_text": inp, "generated_text": new} for inp, new in zip(inputs, generated, strict=True)
        ]


def _before(prompt: str | list, answer: str) -> str | list:
    """A prompt and its answer, as the prompt is."""
    return prompt + answer if isinstance(prompt, str) else [*prompt, assistant([Segment("text", answer)])]


@dataclass(frozen=True)
class VisualQuestionAnswering(Pipeline):
    """Answers questions about images, with transformers' arguments."""

    def __call__(
        self,
        image: Images | dict | Iterable[dict],
        question: Texts | None = None,
        *,
        batch_size: IntLike = 32,
        max_new_tokens: IntLike | None = None,
    ) -> list:
        """Answer questions: [{"answer": …}] for one image, a list of such lists for several.

        Args:
            image: one or several; or dicts of an "image" and a "question".
            question: one for all images, or one each.
            batch_size: images at once.
            max_new_tokens: most ids of an answer; None takes the model's default.
        """
        single = is_one_image(image) or isinstance(image, dict)
        if question is None:
            pairs = [image] if single else as_list(image, "image", of="dicts")
            if not all(isinstance(pair, dict) and {"image", "question"} <= pair.keys() for pair in pairs):
                raise ValueError("question must be given, or dicts of an image and a question")
            image = [as_image(pair["image"]) for pair in pairs]
            question = [pair["question"] for pair in pairs]
        options = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
        results = [[{"answer": text}] for text in self.model.answer(image, question, **options)]
        return results[0] if single else results


@dataclass(frozen=True)
class ZeroShotImageClassification(Pipeline):
    """Classifies images by labels of one's own, with transformers' arguments."""

    def __call__(
        self,
        image: Images,
        candidate_labels: Texts,
        *,
        hypothesis_template: str = "{}",
        batch_size: IntLike = 32,
    ) -> list:
        """Classify images: [{"score": …, "label": …}, …], the likeliest first; such lists for several images.

        Args:
            image: one or several.
            candidate_labels: two or more, or one text in which commas part them.
            hypothesis_template: a text with {} for the label, as the model would write it.
            batch_size: texts scored at once.
        """
        labels = candidate_labels
        if isinstance(labels, str):
            labels = [label.strip() for label in labels.split(",")]
        options = {"templates": hypothesis_template, "batch_size": batch_size}
        results = [
            [
                {"score": score, "label": label}
                for label, score in sorted(probabilities.items(), key=lambda item: -item[1])
            ]
            for probabilities in self.model.classify(image, labels, **options)
        ]
        return results[0] if is_one_image(image) else results


@dataclass(frozen=True)
class AnyToAny(Pipeline):
    """Continues text and images with text or images, with transformers' arguments."""

    def __call__(
        self,
        text: Texts | Iterable[dict] | None = None,
        images: Images | None = None,
        *,
        generation_mode: str | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
        generator: torch.Generator | None = None,
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """Generate a dict per prompt: input_text, and the first generated_text and generated_image.

        Args:
            text: a text, several, or a conversation, see messages.as_turns.
            images: one per text, before it; or those of a conversation's parts that name none.
            generation_mode: "text", "image", or None: the model chooses, and everything it generates is in
                `generated_segments`.
            generate_kwargs, settings: fields of Sampling, such as max_new_tokens; do_sample; streamer.
            generator: source of the seed; None takes torch's own.

        Raises:
            ValueError: neither text nor images, different numbers of both, or a message of another format.
        """
        documents, inputs = prompts(text, images, self.model)
        continued = self.model.generate(
            documents,
            target=generation_mode,
            seed=seeds_of(generator, len(documents)),
            **generation_settings(generate_kwargs, settings),
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


def prompts(text: Any, images: Any, model: UniTok) -> tuple[list[Document], list[Any]]:
    """Build documents of texts, a conversation and images, with the `input_text` of each result."""
    if text is None and images is None:
        raise ValueError("text or images must be given, got neither")
    sources = None if images is None else as_images(images)
    several = text
    if text is not None and not isinstance(text, str):
        several = as_list(text, "text", of="strings or messages")
    if is_conversation(several):
        return [model.chat.prompt(as_turns(several, sources or ()))], [text]
    texts = None if several is None else as_texts(several, "text")
    if texts is not None and sources is not None and len(texts) != len(sources):
        raise ValueError(
            f"texts and images must have the same length, got {len(texts)} texts and {len(sources)} images"
        )
    count = len(sources if texts is None else texts)
    before = [()] * count if sources is None else [(Segment("image", image),) for image in sources]
    after = [()] * count if texts is None else [(Segment("text", t),) for t in texts]
    return [(*image, *text) for image, text in zip(before, after, strict=True)], texts or [""] * count
