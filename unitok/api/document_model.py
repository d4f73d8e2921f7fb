"""DocumentModel: a transformer with its codec; documents in, documents out. Knows no files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from PIL import Image
from torch import Tensor

from unitok.api import arguments
from unitok.api.arguments import Whole, whole
from unitok.api.previews import Update, shown
from unitok.api.request_builder import requests_of
from unitok.chat_template import ChatTemplate
from unitok.device import lacks_compiler
from unitok.document import Codes, Document, Segment
from unitok.generation.engine import Engine
from unitok.generation.generate import generate
from unitok.generation.likelihood import Score, scores
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec

DEFAULT_SAMPLING = {
    "text": Sampling(temperature=0.0, max_new_tokens=128),
    "image": Sampling(temperature=1.0, guidance_scale=1.5),
}


class DocumentModel:
    """A transformer with the codec that it was trained with.

    Args:
        model: the transformer.
        codec: its modalities: text, image, and perhaps boxes and points.
        sampling: default settings per modality; what a call does not say is taken from here.
        example_prompts: prompts that the model knows, for its card and its demos.
        chat: how conversations become documents.
        fills: it has learned to fill holes in pictures that it is shown (data/transforms/inpainting.py).
        compile: whatever is written is written by compiled steps: half a minute more at first, faster then.
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
        compile: bool = False,
    ):
        if model.config.vocab_size != codec.vocabulary.size:
            raise ValueError(
                f"the transformer has {model.config.vocab_size} ids, its vocabulary {codec.vocabulary.size}: "
                "they do not belong together"
            )
        self.model = model.eval()
        self.codec, self.compile = codec, compile
        if compile and (lack := lacks_compiler(self.device)) is not None:
            raise ValueError(f"nothing can be compiled for {self.device} here ({lack}); leave compile out")
        likeliest = dict.fromkeys(codec.modalities, Sampling(temperature=0.0))
        self.sampling = likeliest | DEFAULT_SAMPLING | dict(sampling or {})
        self.example_prompts = list(example_prompts)
        self.chat, self.fills = chat, fills

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embedding.weight.device

    def generate(
        self, documents: Iterable[Document], *, batch_size: Whole = 32, speculate: Whole = 0, **asked: Any
    ) -> list[Document]:
        """The documents, each continued by one segment of modality `target`, or until the model ends it.

        Args:
            documents: what is known.
            batch_size, speculate: see `draw`.
            asked: target, seed, choices, … and fields of Sampling, as of request_builder.requests_of.
        """
        documents = arguments.documents(documents)
        requests = requests_of(self.codec, self.sampling, documents, **asked)
        continued = generate(
            self.model,
            self.codec,
            requests,
            batch_size=whole(batch_size, "batch_size", least=1),
            speculate=whole(speculate, "speculate", least=0),
            compile=self.compile,
        )
        new = [codes[len(request.prompt) :] for codes, request in zip(continued, requests, strict=True)]
        written = self.codec.decode_many(new)
        return [(*document, *more) for document, more in zip(documents, written, strict=True)]

    def stream(self, document: Document, **asked: Any) -> Iterator[Update]:
        """The same as `generate` for one document, shown as it is written: text by piece, an image by row."""
        engine = self.engine(batch_size=1)
        engine.submit(self.request(document, **asked))
        for event in engine.run():
            update = shown(self.codec, event)
            if update is not None:
                yield update

    def engine(self, *, batch_size: Whole = 32, speculate: Whole = 0) -> Engine:
        """What writes many requests together, which may come at any time; `previews.shown` has its events."""
        rows, speculate = whole(batch_size, "batch_size", least=1), whole(speculate, "speculate", least=0)
        return Engine(self.model, self.codec, rows=rows, speculate=speculate, compile=self.compile)

    def request(self, document: Document, *, copy: int = 0, negative: Document = (), **asked: Any) -> Request:
        """One document as an engine takes it; `asked` as of request_builder.requests_of."""
        (request,) = requests_of(
            self.codec, self.sampling, [document], copies=[copy], negatives=[negative], **asked
        )
        return request

    def score(self, documents: Iterable[Document], *, of: Whole = -1, batch_size: Whole = 32) -> list[Score]:
        """log p(segment | the rest before it) of each document, in nats, and the number of its ids.

        Args:
            documents: of one segment or more.
            of: which segment; it is moved behind the others.
            batch_size: documents at once.
        """
        known = self.codec.encode_many(arguments.documents(documents))
        of, batch_size = whole(of, "of"), whole(batch_size, "batch_size", least=1)
        return scores(self.model, self.codec, known, of=of, batch_size=batch_size)

    def encode_image(self, image: Image.Image) -> Int64[Tensor, "h w"]:
        """The grid of codes of a picture, resized to the model's size."""
        (codes,) = self.codec.encode((Segment("image", image),))
        return codes.codes.view(codes.shape[0], -1)

    def decode_image(self, codes: Int64[Tensor, "h w"] | Int64[np.ndarray, "h w"]) -> Image.Image:
        """The picture of a grid of codes. Raises ValueError where a code is not in the codebook."""
        codes = torch.as_tensor(codes)
        if codes.ndim != 2 or codes.is_floating_point() or not codes.numel():
            raise ValueError(f"codes must be a grid of whole numbers, got {codes.dtype} {tuple(codes.shape)}")
        shape = codes.shape[0], codes.shape[1] // len(self.codec.modalities["image"].cell_ranges)
        return self.codec.decode([Codes("image", codes.long().flatten(), shape)])[0].content
