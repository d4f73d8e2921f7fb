"""A model as people use it: what a transformer and its codec do together. Knows no training and no files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from PIL import Image
from torch import Tensor

from unitok import arguments, editing, ranking
from unitok.arguments import Images, Real, Texts, Whole, texts, whole
from unitok.asking import each, requests_of, seeds
from unitok.card import model_card
from unitok.chat_template import ChatTemplate
from unitok.codec import Codec
from unitok.device import lacks_compiler
from unitok.document import Codes, Document, Segment
from unitok.folder import Parts, load, save
from unitok.generate import generate
from unitok.generation.engine import Engine
from unitok.generation.requests import Request
from unitok.likelihood import Score, scores
from unitok.models.transformer import Transformer
from unitok.sampling import Sampling
from unitok.updates import Update, shown

DEFAULT_SAMPLING = {
    "text": Sampling(temperature=0.0, max_new_tokens=128),
    "image": Sampling(temperature=1.0, guidance_scale=1.5),
}


class UniTok:
    """A transformer with the codec that it was trained with.

    Args:
        model: the transformer.
        codec: its modalities: text, image, and perhaps boxes and points.
        sampling: default settings per modality; what a call does not say is taken from here.
        example_prompts: prompts that the model knows, for its card and its demos.
        chat: how conversations become documents.
        fills: it has learned to fill holes in pictures that it is shown (data/fills.py).
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

    # -- one folder

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json, image_tokenizer/, README.md, sha256.json.

        The folder is complete or absent: it is written beside its place and then renamed.
        """
        parts = Parts(self.model, self.codec, self.sampling, self.example_prompts, self.chat, self.fills)
        save(parts, directory, card=model_card(self))

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

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embedding.weight.device

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

    def generate(
        self, documents: Iterable[Document], *, batch_size: Whole = 32, speculate: Whole = 0, **asked: Any
    ) -> list[Document]:
        """The documents, each continued by one segment of modality `target`, or until the model ends it.

        Args:
            documents: what is known.
            batch_size, speculate: see `draw`.
            asked: target, seed, choices, … and fields of Sampling, as of asking.requests_of.
        """
        documents = arguments.documents(documents)
        requests = requests_of(self, documents, **asked)
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
        """What writes many requests together, which may come at any time; `updates.shown` has its events."""
        rows, speculate = whole(batch_size, "batch_size", least=1), whole(speculate, "speculate", least=0)
        return Engine(self.model, self.codec, rows=rows, speculate=speculate, compile=self.compile)

    def request(self, document: Document, *, copy: int = 0, negative: Document = (), **asked: Any) -> Request:
        """One document as an engine takes it; `asked` as of asking.requests_of."""
        (request,) = requests_of(self, [document], copies=[copy], negatives=[negative], **asked)
        return request

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
