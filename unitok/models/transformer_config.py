"""Sizes of a transformer, and where its blocks differ from Qwen3's. Knows no layers."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from unitok.json_files import added_field, build_dataclass, settings_of
from unitok.models.bidirectional import Bidirectional
from unitok.models.sizes import check_depths, check_sizes

Activation = Literal["silu", "gelu_tanh"]
OWN_SIGHT = ("bidirectional", "cross_every", "cross_all", "visual_rank")
"""Fields of a BlockVariant that a run may add to the model that it starts from: how it sees images."""


@dataclass(frozen=True)
class BlockVariant:
    """Where a block differs from Qwen3's, as in other families of language models.

    Args:
        qk_norm: normalise queries and keys per head; Llama's does not.
        qkv_bias: add a bias to queries, keys and values (Qwen2, arXiv:2407.10671).
        activation: of the feed-forward layer's gate: silu, or gelu_tanh (Gemma, arXiv:2403.08295).
        rope_sections: numbers of rotary frequencies of time, rows and columns, which are interleaved while
            there are any left and go to time thereafter (Qwen3-VL, arXiv:2511.21631); None shares them
            equally.
        bidirectional: where attention has both directions: in the "prefix" of a document, which is all that
            it shows before it writes (PaliGemma, arXiv:2407.07726), in each of the "images" seen as vectors,
            or "none".
        cross_every: a block of gated cross-attention, by which tokens see images, before every so many blocks
            (Flamingo, arXiv:2204.14198); 0 for none, where images are read in the sequence.
        cross_all: a token sees all images before it (Idefics), not the most recent one alone.
        visual_rank: rank of updates of the block's matrices that the vectors of images alone see
            (InternLM-XComposer2, arXiv:2401.16420); 0 for none.
    """

    qk_norm: bool = True
    qkv_bias: bool = added_field(False)
    activation: Activation = added_field("silu")  # noqa: RUF009 (a field)
    rope_sections: tuple[int, int, int] | None = added_field(None)
    bidirectional: Bidirectional = added_field("none")  # noqa: RUF009 (a field)
    cross_every: int = added_field(0)
    cross_all: bool = added_field(False)
    visual_rank: int = added_field(0)

    def __post_init__(self):
        if self.activation not in get_args(Activation):
            names = " or ".join(get_args(Activation))
            raise ValueError(f"variant.activation must be {names}, got {self.activation!r}")
        if self.visual_rank < 0:
            raise ValueError(f"variant.visual_rank must be at least 0, got {self.visual_rank}")


@dataclass(frozen=True)
class TransformerSizes:
    """Sizes of a transformer that do not depend on its data.

    Args:
        width: channels of the residual stream.
        layers: number of blocks.
        heads: query heads.
        kv_heads: key-value heads; must divide `heads`.
        head_width: channels of a head; must be even.
        hidden: channels inside the SwiGLU.
        rope_base: longest wavelength of the rotary positions, over 2π.
        norm_eps: epsilon of the RMSNorms.
        variant: where the block differs from Qwen3's.
        tie_embeddings: share one matrix between embedding and head.
        max_length: maximum number of tokens of a document.
        latest_image: text attends only to the most recent image (Flamingo), images to everything before them.
    """

    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    head_width: int = 64
    hidden: int = 768
    rope_base: float = 10_000.0
    norm_eps: float = 1e-6
    variant: BlockVariant = BlockVariant()
    tie_embeddings: bool = False
    max_length: int = 1024
    latest_image: bool = False

    def __post_init__(self):
        check_sizes(width=self.width, heads=self.heads, kv_heads=self.kv_heads)
        check_sizes(head_width=self.head_width, hidden=self.hidden, max_length=self.max_length)
        check_depths(layers=self.layers)
        if not 0 < self.rope_base < math.inf or not 0 < self.norm_eps < math.inf:
            raise ValueError(
                f"rope_base and norm_eps must be positive, got {self.rope_base} and {self.norm_eps}"
            )
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads must divide heads={self.heads}, got {self.kv_heads}")
        if self.head_width % 2:
            raise ValueError(f"head_width must be even for rotary positions, got {self.head_width}")
        if self.latest_image and self.variant.bidirectional != "none":
            raise ValueError(f"latest_image needs bidirectional=none, got {self.variant.bidirectional}")
        if not 0 <= self.variant.cross_every <= self.layers:
            raise ValueError(
                f"variant.cross_every must be in 0..{self.layers}, the layers, got {self.variant.cross_every}"
            )
        if self.latest_image and self.variant.cross_every:
            raise ValueError("latest_image needs variant.cross_every=0, whose images are seen otherwise")
        sections = self.variant.rope_sections
        if sections is not None and (min(sections) < 1 or 2 * sum(sections) != self.head_width):
            raise ValueError(
                f"variant.rope_sections must be positive with the sum {self.head_width // 2}, half of "
                f"head_width, got {sections}"
            )

    def with_own_sight(self, others: "TransformerSizes") -> "TransformerSizes":
        """The sizes of another model, with this one's choices of how it sees where it makes any."""
        default = BlockVariant()
        chosen = {
            name: getattr(self.variant, name)
            for name in OWN_SIGHT
            if getattr(self.variant, name) != getattr(default, name)
        }
        return replace(others, variant=replace(others.variant, **chosen))


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a transformer, with what its data determine.

    Args:
        sizes: those that do not depend on the data.
        vocab_size: number of joint ids.
        images: range (first, stop) of the images' ids, whose last one is their begin; required by
            `latest_image`.
    """

    sizes: TransformerSizes
    vocab_size: int
    images: tuple[int, int] | None = None

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size)
        if self.sizes.latest_image and self.images is None:
            raise ValueError(
                "images must be the range (first, stop) of image ids where latest_image is set, got None"
            )

    def to_json(self) -> dict[str, Any]:
        """The sizes, the block's variant and the rest in one object, as model folders hold them."""
        sizes: dict[str, Any] = {}
        for name, value in settings_of(self.sizes).items():
            sizes |= settings_of(value) if isinstance(value, BlockVariant) else {name: value}
        return sizes | {"vocab_size": self.vocab_size, "images": self.images}

    @classmethod
    def from_json(cls, values: Any) -> "TransformerConfig":
        """The inverse of `to_json`. Raises ValueError for anything else."""
        if not isinstance(values, dict):
            names = ", ".join(field.name for field in fields(TransformerSizes))
            raise ValueError(f"must be an object with {names}, got {type(values).__name__}")
        rest = dict(values)
        variant = build_dataclass(BlockVariant, _take(rest, BlockVariant))
        sizes = build_dataclass(TransformerSizes, _take(rest, TransformerSizes) | {"variant": variant})
        return build_dataclass(cls, rest | {"sizes": sizes})


def _take(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """Removes the fields of a dataclass from values, and returns them."""
    return {field.name: values.pop(field.name) for field in fields(kind) if field.name in values}
