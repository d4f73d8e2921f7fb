"""DocumentModel: a transformer with its codec; documents in, documents out. Knows no files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from PIL.Image import Image
from torch import Tensor

from unitok.api.arguments import ImageLike, IntLike, as_device, as_documents, as_image, as_int
from unitok.api.learned_tasks import LearnedTask
from unitok.api.messages import Message, Prompt, as_prompt, as_prompts
from unitok.api.previews import Update, feed, update_of
from unitok.api.request_builder import build_requests
from unitok.api.task_kinds import unlearned
from unitok.chat_template import ChatTemplate
from unitok.device import lacks_compiler, pick_device, pick_dtype
from unitok.document import Codes, Document
from unitok.foreign_names import missing_attribute, unknown_arguments
from unitok.generation.engine import Engine
from unitok.generation.generate import generate
from unitok.generation.likelihood import Score, scores
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.models.transformer import Transformer, TransformerConfig
from unitok.tokens.codec import Codec

DEFAULT_SAMPLING = {
    "text": Sampling(temperature=0.0, max_new_tokens=128),
    "image": Sampling(temperature=1.0, guidance_scale=1.5),
}


class DocumentModel:
    """A transformer with the codec that it was trained with.

    Args:
        model: the transformer.
        codec: its modalities: text, image, and optionally boxes, points and others.
        sampling: default settings per modality, for all that a call leaves out.
        example_prompts: prompts that the model knows, for its card and its demos.
        chat: how conversations become documents.
        fills: whether it was trained to fill holes in images (data/transforms/inpainting.py).
        tasks: what it was trained to do; None if that is not recorded.
        compile: compile the engine's steps: half a minute slower at the start, faster afterwards.
    """

    def __init__(
        self,
        model: Transformer,
        codec: Codec,
        *,
        sampling: Mapping[str, Sampling] | None = None,
        example_prompts: Sequence[str] = (),
        chat: ChatTemplate = ChatTemplate(),  # noqa: B008 (it is frozen)
        fills: bool = False,
        tasks: Sequence[LearnedTask] | None = None,
        compile: bool = False,
    ):
        if model.config.vocab_size != codec.vocabulary.size:
            raise ValueError(
                "transformer and vocabulary must have the same number of ids, "
                f"got {model.config.vocab_size} and {codec.vocabulary.size}"
            )
        if (model.bridge is None) != (codec.vision is None):
            raise ValueError("transformer and codec must both have vision, or neither of them")
        self.model = model.eval()
        self.codec, self.compile = codec, compile
        if compile and (lack := lacks_compiler(self.device)) is not None:
            raise ValueError(f"compile must be False on {self.device}, nothing can be compiled here: {lack}")
        greedy = dict.fromkeys(codec.modalities, Sampling(temperature=0.0))
        self.sampling = greedy | DEFAULT_SAMPLING | dict(sampling or {})
        self.example_prompts = list(example_prompts)
        self.chat, self.fills = chat, fills
        self.tasks = None if tasks is None else tuple(tasks)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.embedding.weight.device

    def unlearned(self, *tasks: str) -> str | None:
        """One line that says that the model learned none of these tasks; None if it did or has no list."""
        return unlearned(self.tasks, *tasks)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the transformer's weights."""
        return self.model.embedding.weight.dtype

    @property
    def config(self) -> TransformerConfig:
        """The transformer's sizes and number of ids."""
        return self.model.config

    def to(self, *targets: str | int | torch.device | torch.dtype | None, **named: Any) -> "DocumentModel":
        """Move the weights to a device, and the transformer's to a dtype; returns the model itself.

        Args:
            targets: devices or dtypes, as `from_pretrained` takes them; a number is a GPU's.
            named: `device` and `dtype`.

        Raises:
            ValueError: the device is not available, the dtype is not one of floats, or another name is given.
        """
        if unknown := named.keys() - {"device", "dtype"}:
            raise unknown_arguments(unknown, known=("device", "dtype"))
        for target in (*targets, *named.values()):
            if isinstance(target, torch.dtype):
                self.model.to(pick_dtype(target, self.device))
            elif target is not None:
                device = pick_device(as_device(target))
                self.model.to(device)
                self.codec.to(device)
        return self

    def eval(self) -> "DocumentModel":
        """Return the model itself, which is always in evaluation mode."""
        return self

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name)

    def __repr__(self) -> str:
        sizes = " + ".join(f"{name} {modality.size:,}" for name, modality in self.codec.modalities.items())
        parameters = sum(weight.numel() for weight in self.model.parameters())
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{type(self).__name__}({sizes} codes; {parameters:,} parameters; {self.device}, {dtype})"

    def generate(
        self,
        documents: str | Iterable[Prompt | Message],
        *,
        batch_size: IntLike = 32,
        speculate: IntLike = 0,
        on_step: Callable[[int], object] | None = None,
        streamer: Any = None,
        **options: Any,
    ) -> list[Document]:
        """Continue each document by one segment of modality `target`, or until the model ends it.

        Args:
            documents: the prompts: one text or conversation (a list of messages, see messages.as_turns), or
                several texts, conversations and documents.
            batch_size, speculate: see `draw`.
            on_step: called with the number of each step after it.
            streamer: takes the text of one prompt piece by piece, as transformers' TextStreamer does;
                `on_step` is then not called.
            options: target, seed, choices, … and fields of Sampling, see request_builder.build_requests.

        Returns:
            The documents, each with its new segments.
        """
        documents = as_prompts(documents, self.chat)
        if streamer is not None:
            if len(documents) != 1:
                raise ValueError(f"streamer takes the text of one prompt, got {len(documents)}")
            return [(*documents[0], *feed(streamer, self.stream(documents[0], **options)))]
        requests = build_requests(self.codec, self.sampling, documents, **options)
        continued = generate(
            self.model,
            self.codec,
            requests,
            batch_size=as_int(batch_size, "batch_size", minimum=1),
            speculate=as_int(speculate, "speculate", minimum=0),
            compile=self.compile,
            on_step=on_step,
        )
        new = [codes[len(request.prompt) :] for codes, request in zip(continued, requests, strict=True)]
        segments = self.codec.decode_many(new)
        return [(*document, *more) for document, more in zip(documents, segments, strict=True)]

    def stream(self, document: Prompt, **options: Any) -> Iterator[Update]:
        """Stream what `generate` returns for one document: text piece by piece, images row by row."""
        engine = self.engine(batch_size=1)
        engine.submit(self.request(document, **options))
        for event in engine.run():
            update = update_of(self.codec, event)
            if update is not None:
                yield update

    def engine(self, *, batch_size: IntLike = 32, speculate: IntLike = 0) -> Engine:
        """Create an engine; requests may join its batch at any time, previews.update_of reads its events."""
        return Engine(
            self.model,
            self.codec,
            batch_size=as_int(batch_size, "batch_size", minimum=1),
            speculate=as_int(speculate, "speculate", minimum=0),
            compile=self.compile,
        )

    def request(self, document: Prompt, *, copy: int = 0, negative: Document = (), **options: Any) -> Request:
        """Build the engine's request for one document; `options` as in request_builder.build_requests."""
        (request,) = build_requests(
            self.codec,
            self.sampling,
            [as_prompt(document, self.chat)],
            copies=[copy],
            negatives=[negative],
            **options,
        )
        return request

    def score(
        self, documents: Iterable[Document], *, of: IntLike = -1, batch_size: IntLike = 32
    ) -> list[Score]:
        """Compute log p(segment | the others) of each document, in nats, and the segment's number of ids.

        Args:
            documents: each of at least one segment.
            of: index of the segment to score; it is moved behind the others.
            batch_size: documents per batch.
        """
        of, batch_size = as_int(of, "of"), as_int(batch_size, "batch_size", minimum=1)
        codes = self.codec.encode_many([_learn_one(document, of) for document in as_documents(documents)])
        return scores(self.model, self.codec, codes, of=of, batch_size=batch_size)

    def encode_image(self, image: ImageLike) -> Int64[Tensor, "h w"]:
        """Encode an image, resized to the model's size, as a grid of codes."""
        codes, shape = self.codec.image.encode(as_image(image))
        return codes.view(shape[0], -1)

    def decode_image(self, codes: Int64[Tensor, "h w"] | Int64[np.ndarray, "h w"]) -> Image:
        """Decode a grid of codes to an image. Raises ValueError if a code is not in the codebook."""
        codes = torch.as_tensor(codes)
        if codes.ndim != 2 or codes.is_floating_point() or not codes.numel():
            raise ValueError(f"codes must be a grid of integers, got {codes.dtype} {tuple(codes.shape)}")
        shape = codes.shape[0], codes.shape[1] // len(self.codec.image.cell_ranges)
        return self.codec.decode([Codes("image", codes.long().flatten(), shape)])[0].content


def _learn_one(document: Document, of: int) -> Document:
    """Mark one segment as written and the others as read, so that no more is encoded than is needed."""
    place = of % len(document) if document else 0
    return tuple(replace(segment, learn=i == place) for i, segment in enumerate(document))
