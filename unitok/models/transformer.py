"""The decoder-only transformer: a pure function of ids, positions and cache. Knows no tokenizer and no files.

The block is Qwen3's (arXiv:2505.09388): pre-RMSNorm, grouped-query attention with per-head QK-norm, SwiGLU,
rotary positions, no biases; other families of language models are variants of it (transformer_config.py).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.attention import Attention
from unitok.models.bidirectional import PARTS
from unitok.models.cpu.linear import Linear, project
from unitok.models.cross_attention import CrossAttention
from unitok.models.feed_forward import FeedForward
from unitok.models.kv_cache import Cache, CacheView, ImageStore, Memory
from unitok.models.latest_image_mask import image_numbers, latest_image_mask
from unitok.models.rotary import rotary_angles
from unitok.models.softmax_attention import Mask, PackedMask, choose_attend, document_mask
from unitok.models.transformer_config import TransformerConfig, TransformerSizes
from unitok.models.vision.visual_lora import matrix_of
from unitok.models.weights import check_tensors


class Block(nn.Module):
    """Attention and feed-forward, each on a normalised copy of the residual stream."""

    def __init__(self, sizes: TransformerSizes, layer: int):
        super().__init__()
        matrix = matrix_of(sizes.variant.visual_rank)
        self.attention_norm = nn.RMSNorm(sizes.width, eps=sizes.norm_eps)
        self.attention = Attention(
            width=sizes.width,
            heads=sizes.heads,
            kv_heads=sizes.kv_heads,
            head_width=sizes.head_width,
            qk_norm=sizes.variant.qk_norm,
            norm_eps=sizes.norm_eps,
            qkv_bias=sizes.variant.qkv_bias,
            layer=layer,
            matrix=matrix,
        )
        self.feed_forward_norm = nn.RMSNorm(sizes.width, eps=sizes.norm_eps)
        self.feed_forward = FeedForward(sizes.width, sizes.hidden, sizes.variant.activation, matrix=matrix)

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        cos: Tensor,
        sin: Tensor,
        *,
        visual: tuple[Tensor, ...] = (),
        places: Int64[Tensor, "*k"] | None = None,
        **context,
    ) -> Float[Tensor, "*k d"]:
        """`places` are those that go through the feed-forward layer and are returned; all if None."""
        x = self.mix(x, cos, sin, visual=visual, **context)
        if places is not None:
            flat = (each.flatten(0, 1).index_select(0, places.flatten()) for each in (x, *visual))
            x, *visual = (each.unflatten(0, places.shape) for each in flat)
        return self.feed(x, *visual)

    def mix(self, x: Float[Tensor, "b t d"], cos: Tensor, sin: Tensor, **context) -> Float[Tensor, "b t d"]:
        """Adds what tokens take from others."""
        return x + self.attention(self.attention_norm(x), cos, sin, **context)

    def feed(self, x: Float[Tensor, "*k d"], *visual: Tensor) -> Float[Tensor, "*k d"]:
        """Adds what each token makes of its own."""
        return x + self.feed_forward(self.feed_forward_norm(x), *visual)


class Transformer(nn.Module):
    """Embedding, blocks, final norm and head; optionally a bridge that makes vectors of images.

    Args:
        config: all sizes.
        build_bridge: builds the bridge for a width; None for a model that reads ids alone.
    """

    def __init__(self, config: TransformerConfig, build_bridge: Callable[[int], nn.Module] | None = None):
        super().__init__()
        self.config, self.sizes = config, (sizes := config.sizes)
        self.embedding = nn.Embedding(config.vocab_size, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes, layer) for layer in range(sizes.layers))
        self.norm = nn.RMSNorm(sizes.width, eps=sizes.norm_eps)
        self.unembedding = Linear(sizes.width, config.vocab_size)
        self.packed_mask: Callable[..., Tensor | PackedMask] = document_mask
        self.number_parts = PARTS.get(sizes.variant.bidirectional)
        self.cross = None
        if sizes.variant.cross_every:
            self.cross = CrossAttention(sizes, vectors_from=config.vocab_size)
        self._initialise()
        self.build_bridge = build_bridge
        self.bridge = None if build_bridge is None else build_bridge(sizes.width)
        if sizes.tie_embeddings:
            self.unembedding.weight = self.embedding.weight

    def _initialise(self) -> None:
        for name, weight in self.named_parameters():
            if name.endswith("visual_up"):  # an update starts as nothing
                nn.init.zeros_(weight)
            elif weight.ndim == 2:
                into_stream = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * self.sizes.layers) if into_stream else 1))

    def forward(
        self,
        ids: Int64[Tensor, "b t"],
        positions: Int64[Tensor, "b t 3"],
        *,
        document: Int64[Tensor, "b t"] | None = None,
        cache: Cache | None = None,
        tiles: Tensor | None = None,
        prefix: Bool[Tensor, "b t"] | None = None,
        places: Int64[Tensor, "*k"] | None = None,
    ) -> Float[Tensor, "*k d"]:
        """Returns the hidden states from which the head predicts each next id.

        Args:
            ids: tokens.
            positions: (time, row, column) of each.
            document: number of the document of each token, -1 for padding; attention stays inside it.
                None: every row is one document, padded on the right.
            cache: keys and values of the tokens before these; extended in place. `document` must then be
                None.
            tiles: images that the bridge makes vectors of, which ids from `vocab_size` on stand for.
            prefix: the tokens that see each other where `bidirectional` is "prefix"; read at once.
            places: of the tokens whose hidden states are needed, as indices into all of `ids`; these are
                returned, [*k, d], and the last block computes few others. None, as with a cache: all.
        """
        vectors = None if tiles is None else self.bridge(tiles)
        table, memory = None, None
        if self.cross is not None and vectors is not None:
            table, vectors = vectors.unflatten(0, (len(tiles), -1)), self.cross.place.expand(len(tiles), -1)
            memory = None if cache is not None else self.cross.see(ids, table, document)
        parts = None
        if self.number_parts is not None:
            parts = self.number_parts(ids, prefix, vectors_from=self.config.vocab_size)
        if cache is not None:
            view = self.reserve(ids, cache, table=table)
            if parts is not None:
                view = view.join(parts)
            return self.hidden_states(ids, positions, mask=view.mask, view=view, vectors=vectors)
        if parts is not None:
            mask = self.packed_mask(torch.zeros_like(ids) if document is None else document, parts)
            return self.hidden_states(
                ids, positions, mask=mask, vectors=vectors, causal=False, memory=memory, places=places
            )
        mask = None if document is None else self.packed_mask(document)
        if self.sizes.latest_image:
            mask = self._hide_earlier_images(
                ids, mask if document is not None else document_mask(torch.zeros_like(ids))
            )
        return self.hidden_states(ids, positions, mask=mask, vectors=vectors, memory=memory, places=places)

    def _hide_earlier_images(
        self, ids: Int64[Tensor, "b t"], mask: Bool[Tensor, "b 1 t t"]
    ) -> Bool[Tensor, "b 1 t t"]:
        """Restrict a mask so that text attends only to the most recent image."""
        numbers = image_numbers(ids, self.config.images, before=ids.new_zeros(len(ids)))
        return mask & latest_image_mask(numbers, torch.arange(ids.shape[1], device=ids.device).expand_as(ids))

    def reserve(
        self,
        ids: Int64[Tensor, "b t"],
        cache: Cache,
        *,
        multiple: int = 1,
        table: Float[Tensor, "n m d"] | None = None,
    ) -> CacheView:
        """Claim the next slots of every row for these ids; `multiple` as in `Cache.reserve`, `table` are the
        images among them that cross-attention reads."""
        if self.cross is not None:
            memory = self.cross.remember(ids, table, cache)
            return cache.reserve(ids.shape[1], multiple=multiple)._replace(memory=memory)
        if not self.sizes.latest_image:
            return cache.reserve(ids.shape[1], multiple=multiple)
        numbers = image_numbers(ids, self.config.images, before=cache.image_counts())
        view = cache.reserve(ids.shape[1], multiple=multiple)
        cache.image_numbers.scatter_(1, view.slots, numbers)
        latest = latest_image_mask(cache.image_numbers[:, : view.mask.shape[-1]], view.slots)
        return view._replace(mask=view.mask & latest)

    def hidden_states(
        self,
        ids: Int64[Tensor, "b t"],
        positions: Int64[Tensor, "b t 3"],
        *,
        mask: Mask,
        view: CacheView | None = None,
        vectors: Float[Tensor, "n d"] | None = None,
        causal: bool = True,
        memory: Memory | None = None,
        places: Int64[Tensor, "*k"] | None = None,
    ) -> Float[Tensor, "*k d"]:
        """Returns hidden states under a mask, after the cached tokens of `view`; pure tensor code, for
        torch.compile. `vectors` are the rows that ids from `vocab_size` on stand for, `causal` is whether the
        mask hides all later tokens, `memory` what is seen by cross-attention without a cache; `places` as in
        `forward`."""
        sizes = self.sizes
        cos, sin = rotary_angles(
            positions,
            head_width=sizes.head_width,
            base=sizes.rope_base,
            sections=sizes.variant.rope_sections,
        )
        x = self.embedding(ids) if vectors is None else self._embed(ids, vectors)
        attend = choose_attend(mask, tokens=ids.shape[1], device=ids.device, causal=causal)
        context = {"attend": attend, "mask": mask, "view": view}
        if sizes.variant.visual_rank and vectors is not None:
            context["visual"] = ((ids >= self.config.vocab_size).unsqueeze(-1),)
        blocks = self.blocks
        if places is not None:
            blocks = [*blocks[:-1], partial(blocks[-1], places=places)]
        memory = memory if view is None else view.memory
        if memory is None:
            for block in blocks:
                x = block(x, cos, sin, **context)
        else:
            for layer, block in enumerate(blocks):
                x = block(self.cross.before(layer, x, memory), cos, sin, **context)
        return self.norm(x)

    def _embed(self, ids: Int64[Tensor, "b t"], vectors: Float[Tensor, "n d"]) -> Float[Tensor, "b t d"]:
        """The embeddings of ids, and the vectors of those from `vocab_size` on."""
        first = self.config.vocab_size
        embedded = self.embedding(ids.clamp(max=first - 1))
        seen = F.embedding((ids - first).clamp(min=0), vectors)
        return torch.where((ids >= first)[:, :, None], seen.to(embedded.dtype), embedded)

    def head(
        self, hidden: Float[Tensor, "*b d"], block: range | Sequence[int] | None = None
    ) -> Float[Tensor, "*b n"]:
        """Returns the logits of the ids in `block` (all ids if None), in float32."""
        weight = self.unembedding.weight
        if isinstance(block, range):
            weight = weight[block.start : block.stop]
        elif block is not None:
            weight = weight[list(block)]
        return project(hidden, weight.to(hidden.dtype)).float()

    def new_cache(self, rows: int, length: int, *, images: int = 0) -> Cache:
        """Returns an empty cache on the model's device, in its dtype; `images` is the most of a row that
        cross-attention reads."""
        weight, seen = self.embedding.weight, None
        if self.cross is not None:
            seen = ImageStore(
                layers=len(self.cross.blocks),
                rows=rows,
                images=images,
                vectors=1 if self.bridge is None else self.bridge.count,
                kv_heads=self.sizes.kv_heads,
                head_width=self.sizes.head_width,
                device=weight.device,
                dtype=weight.dtype,
            )
        return Cache(
            layers=self.sizes.layers,
            rows=rows,
            length=length,
            kv_heads=self.sizes.kv_heads,
            head_width=self.sizes.head_width,
            device=weight.device,
            dtype=weight.dtype,
            images=self.sizes.latest_image,
            images_seen=seen,
        )

    @property
    def parameter_count(self) -> int:
        """Number of parameters."""
        return sum(weight.numel() for weight in self.parameters())


def transformer_of(
    config: TransformerConfig,
    tensors: Mapping[str, Tensor],
    *,
    build_bridge: Callable[[int], nn.Module] | None = None,
    source: str | Path = "",
) -> Transformer:
    """Build a transformer with these tensors as weights, without copying them or initialising others.

    Raises ValueError naming `source` where the tensors do not fit the config.
    """
    with torch.device("meta"):
        model = Transformer(config, build_bridge)
    check_tensors(tensors, model.state_dict(), source=source)
    model.load_state_dict(tensors, assign=True)
    if config.sizes.tie_embeddings:
        model.unembedding.weight = model.embedding.weight
    return model
