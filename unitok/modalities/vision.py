"""Vision: what an encoder sees of the images that a model is shown. Knows pixels and vectors, no ids.

An image that is learned is written, so it is codes; one that is not learned is shown, and what is shown is
seen by an encoder, whose vectors a bridge brings to the transformer.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from unitok.document import ONE_TILE, Codes, Features, Segment
from unitok.json_files import added_field, build_dataclass, is_added_field, settings_of
from unitok.modalities.base import Modality
from unitok.modalities.image import ImageModality
from unitok.modalities.image_tiles import arrange_tiles, cut_tiles
from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.kinds import part_from_json, part_to_json
from unitok.models.vision import fused, qformer, resampler  # noqa: F401  (their kinds)
from unitok.models.vision.bridge import Bridge, BridgeConfig, Projector, encode_pixels
from unitok.models.vision.bridge_weights import load_bridge
from unitok.models.vision.encoder import Encoder, Latents
from unitok.pixels import Edges, as_rgb

PARTS = (Encoder, BridgeConfig, Architecture)
MAX_TILES = 64
FOLDER, ENCODER = "vision", "encoder"
"""The place, in a model's folder, of the encoder's files."""


@dataclass(frozen=True)
class VisionConfig:
    """How a model sees the images that it is shown.

    Args:
        encoder: Latents of the image tokenizer, Patches of pixels, a Network of its own, a Pretrained folder
            such as SigLIP's, or several Fused.
        bridge: from the encoder's vectors to the transformer's: a Projector, Resampler or QFormer.
        precompute: run the encoder once per image, when a document is read; false runs it in every step, so
            that it can be trained.
        with_codes: a shown image is laid out as vectors and as codes after them, for edits, which copy.
        tiles: most tiles of the encoder's size that an image is cut into. With more than one, an image is
            resized as a whole to the arrangement that is nearest to its shape; with one it is cropped.
        thumbnail: an image of several tiles is also seen as a whole, before them.
        bridge_weights: bridge.safetensors of a vision folder, or model.safetensors of a model, with which the
            bridge starts; a model's folder keeps none.
        one_place: an image takes one place in the sequence, and its vectors are read by cross-attention
            (model.sizes.variant.cross_every), so that it costs no length.
    """

    encoder: Encoder = Latents()  # noqa: RUF009 (all of these are frozen)
    bridge: BridgeConfig = Projector()  # noqa: RUF009
    precompute: bool = True
    with_codes: bool = False
    tiles: int = added_field(1)
    thumbnail: bool = added_field(True)
    bridge_weights: str | None = added_field(None)
    one_place: bool = added_field(False)

    def __post_init__(self):
        if type(self.tiles) is not int or not 1 <= self.tiles <= MAX_TILES:
            raise ValueError(f"tiles must be an integer in 1..{MAX_TILES}, got {self.tiles!r}")
        if self.one_place and (self.tiles > 1 or self.with_codes):
            raise ValueError(
                f"one_place needs tiles=1 and with_codes=false, got {self.tiles} and {self.with_codes}"
            )
        if self.precompute and self.encoder.has_weights:
            raise ValueError(
                f"precompute must be false for the encoder {type(self.encoder).__name__}, which is trained"
            )

    def to_json(self) -> dict[str, Any]:
        """The settings as a model's config.json holds them."""
        settings = settings_of(replace(self, bridge_weights=None))
        return {
            name: part_to_json(value, *PARTS) if isinstance(value, PARTS) else value
            for name, value in settings.items()
        }

    def placed(self, folder: str | Path) -> "VisionConfig":
        """The same with the encoder's files, if it has some, in this folder."""
        return replace(self, encoder=self.encoder.placed(folder))

    @classmethod
    def from_json(cls, values: Any) -> "VisionConfig":
        """The inverse of `to_json`. Raises ValueError for anything else."""
        names = [field.name for field in fields(cls) if not is_added_field(field)]
        if not isinstance(values, dict) or not values.keys() >= set(names):
            raise ValueError(f"must be an object with {', '.join(names)}, got {values!r:.80}")
        parts = {name: part_from_json(values[name], *PARTS) for name in ("encoder", "bridge")}
        return build_dataclass(cls, values | parts)


def open_vision(config: VisionConfig, modalities: Iterable[Modality]) -> "Vision":
    """The vision of a model with these modalities, one of which is of images.

    Raises ValueError if none is, and the errors of Vision.
    """
    image = next((modality for modality in modalities if isinstance(modality, ImageModality)), None)
    if image is None:
        raise ValueError("vision needs images: there is no modality of images")
    tokenizer, shape = image.tokenizer, image.shape
    size = None if shape is None else (shape[0] * tokenizer.cell, shape[1] * tokenizer.cell)
    return Vision(config, tokenizer, size=size)


class Vision:
    """Sees the images that a model is shown, as features.

    Args:
        config: encoder and bridge.
        tokenizer: the image tokenizer, for Latents.
        size: (height, width) in pixels of the images that the model draws; None if they have any size.

    Raises:
        ValueError: the size is not given, or not a multiple of the encoder's cell.
    """

    modalities = ("image",)
    """Those whose contents are seen when they are shown."""

    def __init__(
        self,
        config: VisionConfig,
        tokenizer: ImageTokenizer | None = None,
        *,
        size: tuple[int, int] | None = None,
    ):
        self.config, self.tokenizer = config, tokenizer
        size = config.encoder.input_size(size)
        if size is None:
            raise ValueError("encoder.size must be (height, width) where images have any size, got none")
        self.grid = config.encoder.grid(size, tokenizer)
        self.size = (size[0], size[1])
        self.bridge_shape = config.bridge.places(self.grid)
        self.shape = (1,) if config.one_place else self.bridge_shape
        self.device = torch.device("cpu")
        self._encoder = self._build_encoder() if config.precompute else None

    @property
    def with_codes(self) -> bool:
        """Whether a shown image also has codes."""
        return self.config.with_codes

    def _build_encoder(self) -> nn.Module:
        return self.config.encoder.build(self.tokenizer).eval().requires_grad_(False)

    def to(self, device: torch.device) -> None:
        """Move the encoder's weights, if it runs here."""
        self.device = device
        if self._encoder is not None:
            self._encoder.to(device)

    @property
    def tile(self) -> Tensor:
        """A blank tile, as an encoder gives it."""
        if self.config.precompute:
            return torch.zeros(1, self.grid[0] * self.grid[1], self.config.encoder.dim(self.tokenizer))
        return torch.zeros(1, 3, *self.size, dtype=torch.uint8)

    def fit(self, image: Image.Image) -> Image.Image:
        """Convert an image to RGB, resized to whole tiles; by the encoder where it may have one tile alone.

        Of the result it gives the result. Raises the errors of `pixels.as_rgb`.
        """
        image = as_rgb(image)
        rows, columns = arrange_tiles((image.height, image.width), self.size, self.config.tiles)
        size = columns * self.size[1], rows * self.size[0]
        if image.size == size:
            return image
        if self.config.tiles == 1:
            return self.config.encoder.fit(image, self.size)
        return image.resize(size, Image.Resampling.BICUBIC)

    def crop_edges(self, image: Image.Image) -> Edges:
        """Edges, in pixels of an image, of what is seen of it: all where it may have several tiles."""
        image = as_rgb(image)
        if self.config.tiles > 1:
            return 0, 0, image.width, image.height
        return self.config.encoder.crop_edges(image, self.size)

    @torch.no_grad()
    def see(self, image: Image.Image) -> Features:
        """The features of an image; one alone, so that no bit of them depends on others.

        Raises the errors of `pixels.as_rgb`.
        """
        whole = self.fit(image)
        tiles = cut_tiles(whole, self.size)
        arrangements = ((whole.height // self.size[0], whole.width // self.size[1]),)
        if len(tiles) > 1 and self.config.thumbnail:
            tiles.insert(0, whole.resize(self.size[::-1], Image.Resampling.BICUBIC))
            arrangements = (*ONE_TILE, *arrangements)
        pixels = np.stack([np.asarray(tile) for tile in tiles])
        values = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        if self._encoder is not None:
            values = encode_pixels(self._encoder, values.to(self.device), torch.float32).cpu()
        return Features.of_pixels(values, self.shape, pixels.tobytes(), arrangements=arrangements)

    def encode(self, segments: Sequence[Segment], modality: Modality) -> list[Codes]:
        """Features of segments of a modality, and codes of those that may be written."""
        written = [i for i, one in enumerate(segments) if one.learn or self.with_codes]
        results = modality.encode_many([segments[i].content for i in written])
        codes = dict(zip(written, results, strict=True))
        none = torch.empty(0, dtype=torch.long), ()
        return [
            Codes(modality.name, *codes.get(i, none), segment.learn, self.see(segment.content))
            for i, segment in enumerate(segments)
        ]

    def bridge_builder(self) -> Callable[[int], Bridge]:
        """A function that builds the bridge to a transformer of some width."""
        config, tokenizer, grid, count = self.config, self.tokenizer, self.grid, prod(self.bridge_shape)

        def build(width: int) -> Bridge:
            layers = config.bridge.build(config.encoder.dim(tokenizer), width, grid)
            encoder = None if config.precompute else config.encoder.build(tokenizer)
            bridge = Bridge(layers, encoder, count)
            if config.bridge_weights is not None and torch.get_default_device().type != "meta":
                load_bridge(bridge, config.bridge_weights)
            return bridge

        return build

    def settings(self) -> dict[str, Any]:
        """What a model's config.json keeps of it; the folder of the encoder's files is that of `save`."""
        return self.config.placed(f"{FOLDER}/{ENCODER}").to_json()

    def save(self, folder: Path, bridge: Bridge) -> None:
        """Write the encoder's files into a model's folder, if it has some."""
        module = self._encoder if self.config.precompute else bridge.encoder
        self.config.encoder.save(folder / FOLDER / ENCODER, module)

    def kept_names(self, bridge: Bridge) -> set[str]:
        """The names of the bridge's weights that `save` writes: of an encoder that has files."""
        kept = set() if bridge.encoder is None else self.config.encoder.kept(bridge.encoder)
        return {f"encoder.{name}" for name in kept}

    def kept_weights(self) -> dict[str, Tensor]:
        """The bridge's weights that `save` wrote. Raises the errors of the encoder's `build`."""
        if self.config.precompute:
            return {}
        with torch.device("meta"):
            names = self.config.encoder.kept(self.config.encoder.build(self.tokenizer))
        weights = self.config.encoder.build(self.tokenizer).state_dict() if names else {}
        return {f"encoder.{name}": weights[name] for name in names}

    def fingerprint(self) -> str:
        """Changes whenever an image may be seen differently, but for the weights of the image tokenizer."""
        return self._describe(self.config)

    def tile_fingerprint(self) -> str:
        """Changes whenever a single tile may be seen differently; a later stage may see more of them."""
        return self._describe(replace(self.config, tiles=1, thumbnail=True))

    def _describe(self, config: VisionConfig) -> str:
        return json.dumps([config.to_json() | {"encoder": self._identity}, self.size], sort_keys=True)

    @cached_property
    def _identity(self) -> Any:
        return self.config.encoder.identity(self._encoder)
