"""One folder = one model: weights, both tokenizers and settings, and the calls people make on it.

Knows no training and no command line.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int64
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from unitok import editing, ranking
from unitok.card import model_card
from unitok.codec import Codec
from unitok.document import Codes, Document, Segment
from unitok.generate import generate, stream
from unitok.generation.requests import Event, SegmentDone, Written
from unitok.likelihood import Score, scores
from unitok.modalities.image import ImageModality
from unitok.modalities.location import LOCATIONS, LocationModality
from unitok.modalities.places import Box, Point
from unitok.modalities.text import TextModality
from unitok.models.autoencoder import ImageTokenizer
from unitok.models.transformer import Transformer, TransformerConfig
from unitok.sampling import Sampling

CONFIG, WEIGHTS, TEXT, IMAGE, SUMS = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "image_tokenizer",
    "sha256.json",
)
FORMAT = 1
DEFAULT_SAMPLING = {
    "text": Sampling(temperature=0.0, max_new_tokens=128),
    "image": Sampling(temperature=1.0, guidance_scale=1.5),
}


@dataclass(frozen=True)
class Update:
    """A segment on its way: its content so far (of an image a preview), and whether it is complete."""

    modality: str
    content: str | Image.Image | Box | Point
    done: bool


class UniTok:
    """A transformer with the codec that it was trained with.

    Args:
        model: the transformer.
        codec: its modalities: text, image, and perhaps boxes and points.
        sampling: default settings per modality; what a call does not say is taken from here.
        example_prompts: prompts that the model knows, for its card and its demos.
    """

    def __init__(
        self,
        model: Transformer,
        codec: Codec,
        *,
        sampling: Mapping[str, Sampling] | None = None,
        example_prompts: Sequence[str] = (),
    ):
        if model.config.vocab_size != codec.vocabulary.size:
            raise ValueError(
                f"the transformer has {model.config.vocab_size} ids, its vocabulary {codec.vocabulary.size}: "
                "they do not belong together"
            )
        self.model = model.eval()
        self.codec = codec
        likeliest = dict.fromkeys(codec.modalities, Sampling(temperature=0.0))
        self.sampling = likeliest | DEFAULT_SAMPLING | dict(sampling or {})
        self.example_prompts = list(example_prompts)

    # -- one folder

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json, image_tokenizer/, README.md, sha256.json.

        The folder is complete or absent: it is written beside its place and then renamed.
        """
        target = Path(directory)
        beside = target.with_name(f".{target.name}.{os.getpid()}.part")
        beside.mkdir(parents=True)
        image: ImageModality = self.codec.modalities["image"]
        image.tokenizer.save_pretrained(beside / IMAGE)
        self.codec.modalities["text"].save(beside / TEXT)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        if self.model.config.tie_embeddings:
            del weights["unembedding.weight"]
        save_file(weights, beside / WEIGHTS, metadata={"format": "pt"})
        (beside / CONFIG).write_text(json.dumps(self._config(), indent=2) + "\n")
        (beside / "README.md").write_text(model_card(self))
        sums = {str(p.relative_to(beside)): _sha256(p) for p in sorted(beside.rglob("*")) if p.is_file()}
        (beside / SUMS).write_text(json.dumps(sums, indent=2) + "\n")
        _replace_folder(beside, target)

    def _config(self) -> dict:
        image: ImageModality = self.codec.modalities["image"]
        return {
            "model_type": "unitok",
            "format": FORMAT,
            "transformer": asdict(self.model.config),
            "vocabulary": self.codec.vocabulary.describe(),
            "positions": self.codec.positions,
            "image": {"shape": image.shape, "max_side": image.max_side},
            "locations": {
                name: {"bins": modality.size}
                for name, modality in self.codec.modalities.items()
                if isinstance(modality, LocationModality)
            },
            "sampling": {name: asdict(sampling) for name, sampling in self.sampling.items()},
            "example_prompts": self.example_prompts,
        }

    @classmethod
    def from_pretrained(
        cls, directory: str | Path, *, device: str = "auto", dtype: str = "auto", verify: bool = False
    ) -> "UniTok":
        """Load a folder that `save_pretrained` wrote.

        Args:
            directory: the folder.
            device: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU where there is one.
            dtype: "float32", "bfloat16", …; "auto" is bfloat16 on a GPU and float32 on a CPU.
            verify: compare every file with its sha256.

        Raises:
            FileNotFoundError: the folder or one of its files is missing.
            ValueError: a file is damaged, of another format, or does not fit the others.
        """
        directory = Path(directory)
        if not (directory / CONFIG).is_file():
            raise FileNotFoundError(f"{directory}: no model here ({CONFIG} is missing)")
        if verify:
            verify_sums(directory)
        config = _read_config(directory / CONFIG)
        sizes, sampling = _settings(directory / CONFIG, config)
        place = pick_device(device)
        image_tokenizer = ImageTokenizer.from_pretrained(directory / IMAGE).to(place)
        codec = Codec(
            [
                TextModality.from_file(directory / TEXT),
                ImageModality(
                    image_tokenizer, shape=config["image"]["shape"], max_side=config["image"]["max_side"]
                ),
                *_locations(directory / CONFIG, config),
            ],
            positions=config["positions"],
        )
        saved = [tuple(entry) for entry in config["vocabulary"]]
        if saved != codec.vocabulary.describe():
            raise ValueError(
                f"{directory}: the transformer was trained with the vocabulary {saved}, but the folder's "
                f"tokenizers make {codec.vocabulary.describe()}"
            )
        model = _load_transformer(directory / WEIGHTS, sizes)
        model = model.to(device=place, dtype=pick_dtype(dtype, place))
        return cls(model, codec, sampling=sampling, example_prompts=config["example_prompts"])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embedding.weight.device

    # -- what people ask of it

    def draw(
        self,
        prompts: str | Sequence[str],
        *,
        n: int = 1,
        guidance_scale: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | Sequence[int] = 0,
        size: tuple[int, int] | None = None,
        best_of: int = 1,
        negative: str | Sequence[str] | None = None,
        batch_size: int = 32,
    ) -> list[Image.Image]:
        """Pictures of the prompts: one flat list, prompt by prompt, `n` of each.

        Args:
            prompts: one text or several.
            n: pictures of each prompt.
            guidance_scale, temperature, top_k, top_p: see Sampling; None takes the model's own default.
            seed: one for all prompts, or one each. The same seed and prompt give the same picture in any
                batch.
            size: (height, width) in pixels, for models that draw several sizes; None lets the model choose.
            best_of: drawings made for each one that is returned: that from which the prompt is likeliest.
            negative: what guidance leads away from, one for all prompts or one each; None for nothing.
            batch_size: pictures drawn at once.
        """
        prompts = _several(prompts)
        for name, count in (("n", n), ("best_of", best_of)):
            if count < 1:
                raise ValueError(f"{name} is 1 or more, not {count}")
        copies = n * best_of
        seeds = [seed] * len(prompts) if isinstance(seed, int) else list(seed)
        if len(seeds) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts need one seed or {len(prompts)}, not {len(seeds)}")
        documents = self.generate(
            [(Segment("text", prompt),) for prompt in prompts for _ in range(copies)],
            target="image",
            guidance_scale=guidance_scale,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=[s for s in seeds for _ in range(copies)],
            copies=list(range(copies)) * len(prompts),
            negatives=self._negatives(negative, prompts, copies),
            size=size,
            batch_size=batch_size,
        )
        drawn = [document[-1].content for document in documents]
        if best_of == 1:
            return drawn
        asked = [prompt for prompt in prompts for _ in range(n)]
        return ranking.best_of(self, drawn, asked, copies=best_of, batch_size=batch_size)

    def _negatives(
        self, negative: str | Sequence[str] | None, prompts: Sequence[str], copies: int
    ) -> list[Document] | None:
        """A document for each copy of each prompt."""
        if negative is None:
            return None
        texts = [negative] * len(prompts) if isinstance(negative, str) else list(negative)
        if len(texts) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts need one negative or {len(prompts)}, not {len(texts)}")
        return [(Segment("text", text),) for text in texts for _ in range(copies)]

    def inpaint(
        self,
        images: Image.Image | Sequence[Image.Image],
        masks: Image.Image | Sequence[Image.Image],
        prompts: str | Sequence[str],
        **settings,
    ) -> list[Image.Image]:
        """Pictures redrawn where their masks are white; `settings` as of editing.inpaint."""
        return editing.inpaint(self, _several(images), _several(masks), _several(prompts), **settings)

    def vary(
        self, images: Image.Image | Sequence[Image.Image], prompts: str | Sequence[str], **settings
    ) -> list[Image.Image]:
        """Variations of pictures; a share `keep` of the cells stays; `settings` as of editing.vary."""
        return editing.vary(self, _several(images), _several(prompts), **settings)

    def caption(
        self,
        images: Image.Image | Sequence[Image.Image],
        *,
        max_new_tokens: int | None = None,
        batch_size: int = 32,
    ) -> list[str]:
        """The most likely caption of each picture, id by id; pictures are resized to the model's size."""
        images = _several(images)
        documents = self.generate(
            [(Segment("image", image),) for image in images],
            target="text",
            temperature=0.0,
            guidance_scale=1.0,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
        )
        return [document[-1].content for document in documents]

    def score(self, documents: Sequence[Document], *, of: int = -1, batch_size: int = 32) -> list[Score]:
        """log p(segment | the rest before it) of each document, in nats, and the number of its ids.

        Args:
            documents: of one segment or more.
            of: which segment; it is moved behind the others.
            batch_size: documents at once.
        """
        known = self.codec.encode_many(documents)
        return scores(self.model, self.codec, known, of=of, batch_size=batch_size)

    def classify(
        self, images: Image.Image | Sequence[Image.Image], labels: Sequence[str], **settings
    ) -> list[dict[str, float]]:
        """Each label's probability among the labels, for each picture; `settings` as of ranking.classify."""
        images = _several(images)
        return ranking.classify(self, images, labels, **settings)

    def rank(
        self, images: Sequence[Image.Image], text: str, *, batch_size: int = 32
    ) -> list[tuple[int, float]]:
        """Numbers of the pictures with log p(text | picture), the likeliest first."""
        return ranking.rank(self, images, text, batch_size=batch_size)

    def generate(
        self,
        documents: Sequence[Document],
        *,
        target: str | None = None,
        seed: int | Sequence[int] = 0,
        copies: Sequence[int] | None = None,
        negatives: Sequence[Document] | None = None,
        size: tuple[int, int] | None = None,
        batch_size: int = 32,
        max_segments: int = 8,
        **settings: float | None,
    ) -> list[Document]:
        """The documents, each continued by one segment of modality `target`, or until the model ends it.

        Args:
            documents: what is known.
            target: "text", "image", or None: the model chooses, for at most `max_segments` segments.
            seed, copies, size, batch_size: see `draw`; equal documents draw differently by their copy number.
            negatives: what guidance leads away from, one a document; None for nothing.
            settings: fields of Sampling; what is None or absent is the model's own default.
        """
        known = self.codec.encode_many(documents)
        continued = generate(
            self.model,
            self.codec,
            known,
            target=target,
            sampling=self.settings_of(settings),
            seed=seed,
            copies=copies,
            negatives=None if negatives is None else self.codec.encode_many(negatives),
            shapes=self._shapes(size),
            batch_size=batch_size,
            max_segments=max_segments,
        )
        new = [codes[len(before) :] for codes, before in zip(continued, known, strict=True)]
        written = self.codec.decode_many(new)
        return [(*document, *more) for document, more in zip(documents, written, strict=True)]

    def stream(
        self,
        document: Document,
        *,
        target: str | None = None,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        max_segments: int = 8,
        **settings: float | None,
    ) -> Iterator[Update]:
        """The same as `generate` for one document, shown as it is written: text by piece, an image by row."""
        events = stream(
            self.model,
            self.codec,
            [self.codec.encode(document)],
            target=target,
            sampling=self.settings_of(settings),
            seed=seed,
            shapes=self._shapes(size),
            max_segments=max_segments,
        )
        for event in events:
            update = self._update(event)
            if update is not None:
                yield update

    def _update(self, event: Event) -> Update | None:
        """What an event shows; None where nothing new can be seen."""
        if isinstance(event, SegmentDone):
            segment = event.segment
            return Update(segment.modality, self.codec.decode([segment])[0].content, done=True)
        return self._shown_so_far(event) if isinstance(event, Written) else None

    def _shown_so_far(self, event: Written) -> Update | None:
        """A text without half letters, an image whenever a row of it is complete."""
        modality, words = self.codec.modalities[event.modality], self.codec.vocabulary
        if isinstance(modality, LocationModality):
            return None
        codes = words.to_codes(event.modality, torch.tensor(event.ids))
        if modality.open_ended:
            text = modality.decode(codes, (len(codes),))
            return None if text.endswith("�") else Update(event.modality, text, done=False)
        header, cells = codes[: modality.header_length].tolist(), codes[modality.header_length :]
        if len(header) < modality.header_length:
            return None
        rows, columns = modality.shape_of(header)
        line = columns * len(modality.cell_ranges)
        complete = len(cells) // line
        if not complete or complete == (len(cells) - event.new) // line:
            return None
        return Update(
            event.modality, self._preview(modality, cells[: complete * line], (rows, columns)), False
        )

    def _preview(self, modality: ImageModality, cells: Tensor, shape: tuple[int, int]) -> Image.Image:
        """A picture of which the first rows are known, grey below."""
        total, depth = shape[0] * shape[1] * len(modality.cell_ranges), len(modality.cell_ranges)
        unseen = cells[-depth:].repeat((total - len(cells)) // depth)
        preview = modality.decode(torch.cat((cells, unseen)), shape)
        height = preview.height * len(cells) // total
        preview.paste((128, 128, 128), (0, height, preview.width, preview.height))
        return preview

    def encode_image(self, image: Image.Image) -> Int64[Tensor, "h w"]:
        """The grid of codes of a picture, resized to the model's size."""
        (codes,) = self.codec.encode((Segment("image", image),))
        return codes.codes.view(codes.shape[0], -1)

    def decode_image(self, codes: Int64[Tensor, "h w"]) -> Image.Image:
        """The picture of a grid of codes. Raises ValueError where a code is not in the codebook."""
        shape = codes.shape[0], codes.shape[1] // len(self.codec.modalities["image"].cell_ranges)
        return self.codec.decode([Codes("image", codes.flatten(), shape)])[0].content

    def settings_of(self, settings: Mapping[str, float | None]) -> dict[str, Sampling]:
        """Sampling by modality: the model's own defaults but for these fields; None keeps the default."""
        given = {name: value for name, value in settings.items() if value is not None}
        unknown = set(given) - set(Sampling.__dataclass_fields__)
        if unknown:
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}; known: "
                             f"{', '.join(Sampling.__dataclass_fields__)}")  # fmt: skip
        return {name: replace(self.sampling.get(name, Sampling()), **given) for name in self.codec.modalities}

    def _shapes(self, size: tuple[int, int] | None) -> dict[str, tuple[int, int]] | None:
        if size is None:
            return None
        image: ImageModality = self.codec.modalities["image"]
        cell = image.tokenizer.cell
        if any(side % cell or side < cell for side in size):
            raise ValueError(f"size {tuple(size)} is not a multiple of {cell} pixels")
        shape = (size[0] // cell, size[1] // cell)
        image.header(shape)  # refuses what the model cannot draw
        return {"image": shape}


def _several(values):
    """A list of one, or of what is given."""
    return [values] if isinstance(values, str | Image.Image) else list(values)


def pick_device(device: str) -> torch.device:
    """ "auto" is a GPU where there is one. Raises ValueError for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not available: {str(error).splitlines()[0]}") from error
    return place


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """ "auto" is bfloat16 on a GPU and float32 elsewhere. Raises ValueError for an unknown name."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    value = getattr(torch, dtype, None)
    if not isinstance(value, torch.dtype) or not value.is_floating_point:
        raise ValueError(f"unknown dtype {dtype!r}; try auto, float32, bfloat16 or float16")
    return value


def verify_sums(directory: Path) -> None:
    """Raises ValueError naming the first file that is missing or differs from its sha256."""
    if not (directory / SUMS).is_file():
        raise FileNotFoundError(f"{directory}: {SUMS} is missing")
    for name, wanted in json.loads((directory / SUMS).read_text()).items():
        if not (directory / name).is_file() or _sha256(directory / name) != wanted:
            raise ValueError(
                f"{directory / name}: missing or changed since it was written (sha256 {wanted[:12]}…)"
            )


def _read_config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "unitok":
        raise ValueError(f"{path}: model_type is {kind!r}, not 'unitok'")
    if config.get("format") != FORMAT:
        raise ValueError(f"{path}: format {config.get('format')}; this version reads format {FORMAT}")
    return config


def _settings(path: Path, config: dict) -> tuple[TransformerConfig, dict[str, Sampling]]:
    """Sizes and default sampling of a config; raises ValueError naming what is missing or unknown."""
    keys = ("transformer", "vocabulary", "positions", "image", "sampling", "example_prompts")
    missing = [key for key in keys if config.get(key) is None]
    if missing:
        raise ValueError(f"{path}: {', '.join(missing)} is missing")
    try:
        sampling = {name: Sampling(**values) for name, values in config["sampling"].items()}
        return TransformerConfig(**config["transformer"]), sampling
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _locations(path: Path, config: dict) -> list[LocationModality]:
    """Boxes and points of a config, in order; none in one that was written before there were any."""
    try:
        return [LOCATIONS[name](**values) for name, values in config.get("locations", {}).items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}: locations are {', '.join(LOCATIONS)} with their bins: {error!r}"
        ) from error


def _load_transformer(path: Path, config: TransformerConfig) -> Transformer:
    """A transformer with the weights of a file; refuses the first that is missing, foreign or misshapen."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the transformer's weights are missing")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged or not safetensors ({error})") from error
    if config.tie_embeddings and "embedding.weight" in weights:
        weights["unembedding.weight"] = weights["embedding.weight"]
    model = Transformer(config)
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ weights.keys()):
        raise ValueError(f"{path}: {name} is {'missing' if name in wanted else 'not part of this model'}")
    for name, value in wanted.items():
        if value.shape != weights[name].shape:
            raise ValueError(
                f"{path}: {name} is {tuple(weights[name].shape)}; the config says {tuple(value.shape)}"
            )
    model.load_state_dict(weights)
    return model


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder in another's place; the old one is removed only once the new one is there."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
