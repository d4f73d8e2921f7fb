"""Gated cross-attention to the vectors of images (Flamingo, arXiv:2204.14198, section 2.2; Llama 3.2 Vision).
Knows ids from the vocabulary's end on as places of images, no encoder.

An image takes one place in the sequence. Which images a token sees is a function of ids: the last place
before it in its own document, or all of them. Both terms of a block are exactly zero for a token that sees
none, and for every token where the gates are zero, as they are at first.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unitok.models.bidirectional import count_before_document
from unitok.models.cpu.linear import Linear
from unitok.models.feed_forward import FeedForward
from unitok.models.kv_cache import Cache, Memory
from unitok.models.softmax_attention import choose_attend
from unitok.models.transformer_config import TransformerSizes


class CrossBlock(nn.Module):
    """Gated cross-attention, then a gated feed-forward layer, each on a normalised copy of the stream."""

    def __init__(self, sizes: TransformerSizes):
        super().__init__()
        width, self.head_width = sizes.width, (head_width := sizes.head_width)
        self.attention_norm = nn.RMSNorm(width, eps=sizes.norm_eps)
        self.queries = Linear(width, sizes.heads * head_width)
        self.keys_values = Linear(width, 2 * sizes.kv_heads * head_width)
        self.out = Linear(sizes.heads * head_width, width)
        normalised = sizes.variant.qk_norm
        self.query_norm = nn.RMSNorm(head_width, eps=sizes.norm_eps) if normalised else nn.Identity()
        self.key_norm = nn.RMSNorm(head_width, eps=sizes.norm_eps) if normalised else nn.Identity()
        self.attention_gate = nn.Parameter(torch.zeros(1))
        self.feed_forward_norm = nn.RMSNorm(width, eps=sizes.norm_eps)
        self.feed_forward = FeedForward(width, sizes.hidden, sizes.variant.activation)
        self.feed_forward_gate = nn.Parameter(torch.zeros(1))

    def read(self, vectors: Float[Tensor, "b s d"]) -> Float[Tensor, "b h s w"]:
        """Keys of vectors, followed by the heads of their values."""
        heads = self.keys_values(vectors).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        keys, values = heads.chunk(2, dim=1)
        return torch.cat((self.key_norm(keys).to(values.dtype), values), dim=1)

    def forward(self, x: Float[Tensor, "b t d"], memory: Memory, layer: int) -> Float[Tensor, "b t d"]:
        """`layer` is the number of this block among those of its kind."""
        queries = self.queries(self.attention_norm(x)).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        keys, values = memory.keys_values[layer].to(queries.dtype).chunk(2, dim=1)
        attend = choose_attend(memory.mask, tokens=x.shape[1], device=x.device, causal=False)
        attended = attend(self.query_norm(queries).to(keys.dtype), keys, values, memory.mask)
        sees = memory.sees.to(x.dtype)
        x = x + sees * self.attention_gate.tanh() * self.out(attended.transpose(1, 2).flatten(2))
        return x + sees * self.feed_forward_gate.tanh() * self.feed_forward(self.feed_forward_norm(x))


class CrossAttention(nn.Module):
    """The cross-attention blocks of a transformer: one before every n-th of its own.

    Args:
        sizes: of the transformer.
        vectors_from: the first id that stands for an image.
    """

    def __init__(self, sizes: TransformerSizes, *, vectors_from: int):
        super().__init__()
        self.every, self.all_images = sizes.variant.cross_every, sizes.variant.cross_all
        self.blocks = nn.ModuleList(CrossBlock(sizes) for _ in range(sizes.layers // self.every))
        self.place = nn.Parameter(torch.empty(1, sizes.width))
        self.vectors_from = vectors_from

    def before(self, layer: int, x: Float[Tensor, "b t d"], memory: Memory) -> Float[Tensor, "b t d"]:
        """What block `layer` of the transformer reads."""
        number, rest = divmod(layer + 1, self.every)
        return x if rest else self.blocks[number - 1](x, memory, number - 1)

    def see(
        self, ids: Int64[Tensor, "b t"], table: Float[Tensor, "n m d"], document: Int64[Tensor, "b t"] | None
    ) -> Memory:
        """What each token sees of the images, of whose vectors its id is the number in the table."""
        places = ids >= self.vectors_from
        images = self._list_images(ids, places)
        vectors = table[images].flatten(1, 2)
        latest = places.cumsum(1)
        first = torch.zeros_like(latest) if document is None else count_before_document(places, document)
        keys_values = tuple(block.read(vectors) for block in self.blocks)
        return self._memory(keys_values, first, latest, images=images.shape[1])

    def remember(
        self, ids: Int64[Tensor, "b t"], table: Float[Tensor, "n m d"] | None, cache: Cache
    ) -> Memory | None:
        """What new tokens of cached rows see, after the images among them are remembered; None where no row
        has room for images."""
        store = cache.images_seen
        before = store.counts.masked_fill(cache.lengths == 0, 0)
        places = ids >= self.vectors_from
        latest = before[:, None] + places.cumsum(1)
        if table is not None:
            images = self._list_images(ids, places)
            slots = (before[:, None] * store.vectors) + torch.arange(
                images.shape[1] * store.vectors, device=ids.device
            )
            vectors = table[images].flatten(1, 2)
            store.write(slots, [block.read(vectors) for block in self.blocks])
        store.counts.copy_(latest[:, -1])
        if not store.images:
            return None
        return self._memory(tuple(store.buffers), torch.zeros_like(latest), latest, images=store.images)

    def _list_images(self, ids: Int64[Tensor, "b t"], places: Bool[Tensor, "b t"]) -> Int64[Tensor, "b r"]:
        """The images of each row, in order; the first of the table after them, and where there is none."""
        latest = places.cumsum(1)
        images = ids.new_zeros(len(ids), max(1, int(latest[:, -1].max())))
        rows, columns = places.nonzero(as_tuple=True)
        images[rows, latest[rows, columns] - 1] = ids[rows, columns] - self.vectors_from
        return images

    def _memory(
        self,
        keys_values: tuple[Tensor, ...],
        first: Int64[Tensor, "b t"],
        latest: Int64[Tensor, "b t"],
        *,
        images: int,
    ) -> Memory:
        """`first` is the number of images before a token's document, `latest` that up to the token."""
        numbers = torch.arange(1, images + 1, device=latest.device)
        visible = (numbers > first[..., None]) & (numbers <= latest[..., None])
        if not self.all_images:
            visible &= numbers == latest[..., None]
        sees = visible.any(-1, keepdim=True)
        mask = (visible | ~sees).repeat_interleave(keys_values[0].shape[2] // images, dim=-1)
        return Memory(keys_values, mask.unsqueeze(1), sees)
