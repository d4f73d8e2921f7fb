"""Small modalities and random documents for tests: no network, no images."""

import random
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from unitok.data.batches.packing import Batch
from unitok.data.source import Source
from unitok.document import Codes, Segment, Tokens
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.modalities.base import Modality
from unitok.modalities.text import TextModality
from unitok.modalities.vision import Vision, VisionConfig
from unitok.models.vision.bridge import BridgeConfig, Projector
from unitok.models.vision.encoder import Patches
from unitok.models.vision.resampler import Resampler
from unitok.tokens.codec import Codec
from unitok.tokens.layout import FlatIds

PROJECTOR = Projector(hidden=8)


class GridModality(Modality):
    """Codes on a grid: of one shape, or of any shape up to `max_side` with a header of two codes."""

    def __init__(self, name="image", codebook=7, shape=None, max_side=4):
        self.name, self.codebook, self.shape, self.max_side = name, codebook, shape, max_side
        self.size = codebook + (0 if shape else max_side)

    @property
    def cells(self):
        return range(self.codebook)

    @property
    def header_length(self):
        return 0 if self.shape else 2

    @property
    def largest_shape(self):
        return self.shape or (self.max_side, self.max_side)

    def header_codes(self):
        return range(self.codebook, self.size)

    def header(self, shape):
        return () if self.shape else tuple(self.codebook + side - 1 for side in shape)

    def shape_of(self, header):
        return self.shape or tuple(code - self.codebook + 1 for code in header)

    def encode(self, content):
        return content.flatten(), tuple(content.shape)

    def decode(self, codes, shape):
        return codes.view(*shape)

    def grid(self, shape):
        rows, columns = shape
        return torch.tensor([(0, r, c) for r in range(rows) for c in range(columns)])

    def fingerprint(self):
        return f"{self.name}:{self.codebook}:{self.shape}:{self.max_side}"


class Named(Source):
    """`size` documents that say whose they are, and which."""

    def __init__(self, name: str, size: int):
        self.name, self.size = name, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int):
        assert 0 <= index < self.size
        return (Segment("text", f"{self.name}.{index}"),)


def byte_text() -> TextModality:
    """Text of 256 byte codes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return TextModality(tokenizer)


def tiny_codec(*, shape=None, positions="grid", more=()) -> Codec:
    """Text and images (of any size where `shape` is None), plus `more` modalities."""
    return Codec([byte_text(), GridModality(shape=shape), *more], positions=positions)


SEEING = {
    "grid": {},
    "sequential": {"positions": "sequential"},
    "grid and codes": {"with_codes": True},
    "sequential and codes": {"positions": "sequential", "with_codes": True},
    "tiles": {"tiles": 4},
    "queries of tiles": {
        "tiles": 2,
        "bridge": Resampler(queries=3, layers=1, heads=2, head_width=4),
        "with_codes": True,
    },
}
"""Ways to read a shown image, for `seeing_codec`."""
SIZES = [(4, 6), (8, 12), (4, 6), (4, 12)]
"""(height, width) in pixels of shown images: one tile and several."""


def seeing_codec(*, positions="grid", bridge: BridgeConfig = PROJECTOR, **options) -> Codec:
    """Text and images of 2 x 2 codes; shown ones are seen as the pixels of 2 x 3 cells."""
    config = VisionConfig(Patches(patch=2, size=(4, 6)), bridge, **options)
    modalities = [byte_text(), GridModality(shape=(2, 2))]
    return Codec(modalities, positions=positions, vision=Vision(config))


def shown_image(codec: Codec, number: int, *, learn=False) -> Codes:
    """An image of random pixels with its features, and with codes that the number alone determines."""
    pixels = np.random.default_rng(number).integers(0, 255, (*SIZES[number % len(SIZES)], 3), np.uint8)
    codes = torch.tensor([number % 7, 1, 2, 3])
    return Codes("image", codes, (2, 2), learn, codec.vision.see(Image.fromarray(pixels)))


def lay_flat(documents: Sequence[Tokens]) -> FlatIds:
    """Documents one after another, as `pack` takes them."""
    parts = [(t.ids.numpy(), t.positions.numpy(), t.learn.numpy()) for t in documents]
    return FlatIds(*map(np.concatenate, zip(*parts, strict=True)), [len(tokens) for tokens in documents])


def unpacked(hidden: torch.Tensor, batch: Batch) -> list[torch.Tensor]:
    """The hidden states of each document of a packed batch."""
    return [
        hidden[row, batch.document[row] == number]
        for row in range(len(batch.ids))
        for number in range(int(batch.document[row].max()) + 1)
    ]


def check_packed(hidden: torch.Tensor, batch: Batch, singles: Sequence[torch.Tensor]) -> None:
    """Check that each document of a packed batch has the hidden states of one that was read alone."""
    assert not batch.one_per_row
    for one in unpacked(hidden, batch):
        assert any(one.shape == s.shape and torch.allclose(one, s, atol=1e-9) for s in singles)


def random_codes(codec: Codec, rng: random.Random) -> list[Codes]:
    """A random document of 0 to 4 segments."""
    return [_random_segment(codec, rng) for _ in range(rng.randrange(5))]


def _random_segment(codec: Codec, rng: random.Random) -> Codes:
    modality = codec.modalities[rng.choice(list(codec.modalities))]
    if modality.open_ended:
        shape = (rng.randrange(6),)
    else:
        shape = modality.shape or tuple(rng.randint(1, modality.max_side) for _ in range(2))
    count = shape[0] if modality.open_ended else shape[0] * shape[1]
    codes = torch.tensor([rng.randrange(len(modality.cells)) for _ in range(count)], dtype=torch.long)
    return Codes(modality.name, codes, shape, learn=rng.random() < 0.8)


def make_requests(codec: Codec, prompts, *, sampling=Sampling(), copies=None, **shared) -> list[Request]:  # noqa: B008
    """A request of each prompt, with the same settings for all modalities."""
    shared["sampling"] = dict.fromkeys(codec.modalities, sampling)
    numbers = copies or [0] * len(prompts)
    return [
        Request(prompt=prompt, copy=copy, **shared) for prompt, copy in zip(prompts, numbers, strict=True)
    ]
