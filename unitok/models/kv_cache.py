"""A preallocated KV cache. Knows slots and lengths, not ids.

Rows may have different lengths: each row's new tokens go to its own next slots, and a query sees the slots up
to its own. So right-padded prompts can be prefilled in one batch: the next step gets the rows' true lengths
and overwrites the padding.
"""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unitok.models.bidirectional import same_part


class Memory(NamedTuple):
    """What the tokens of a forward pass see of images by cross-attention.

    Args:
        keys_values: keys, followed by the heads of values, of the vectors of each row's images, for every
            layer of cross-attention.
        mask: the vectors that each token sees; all of them for a token that sees no image.
        sees: whether a token sees any.
    """

    keys_values: tuple[Float[Tensor, "b h s w"], ...]
    mask: Bool[Tensor, "b 1 t s"]
    sees: Bool[Tensor, "b t 1"]


class CacheView(NamedTuple):
    """All that a forward pass needs of a cache: where to write the next tokens of its rows, and their mask.

    Args:
        buffers: keys, followed by the heads of values, of every layer; written in place.
        slots: where each row's new tokens go.
        mask: the slots that each new token sees.
        memory: what new tokens see of images by cross-attention, if anything.
    """

    buffers: tuple[Float[Tensor, "b h c w"], ...]
    slots: Int64[Tensor, "b t"]
    mask: Bool[Tensor, "b 1 t s"]
    memory: Memory | None = None

    def join(self, parts: Int64[Tensor, "b t"]) -> "CacheView":
        """The same, where new tokens of a part also see each other; see bidirectional.py."""
        keys = parts.new_full((len(parts), self.mask.shape[-1]), -1).scatter(1, self.slots, parts)
        return self._replace(mask=self.mask | same_part(parts, keys))

    def write(
        self, layer: int, new: Float[Tensor, "b h t w"]
    ) -> tuple[Float[Tensor, "b g s w"], Float[Tensor, "b g s w"]]:
        """Store a layer's new keys, followed by its new values; returns all keys and all values."""
        buffer = self.buffers[layer]
        rows = torch.arange(len(self.slots), device=self.slots.device)[:, None]
        # as compiled code, `scatter_` would copy the whole buffer, twice
        buffer[rows, :, self.slots] = new.transpose(1, 2).to(buffer.dtype)
        return buffer[:, :, : self.mask.shape[-1]].chunk(2, dim=1)


class ImageStore:
    """Keys and values of the images that cache rows see by cross-attention, and how many each row has.

    Args:
        layers: of cross-attention.
        rows: of the cache.
        images: most images of a row.
        vectors: of an image.
    """

    def __init__(
        self,
        *,
        layers: int,
        rows: int,
        images: int,
        vectors: int,
        kv_heads: int,
        head_width: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.vectors = vectors
        shape = rows, 2 * kv_heads, images * vectors, head_width
        self.buffers = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(layers)]
        self.counts = torch.zeros(rows, dtype=torch.long, device=device)

    @property
    def images(self) -> int:
        """Most images of a row."""
        return self.buffers[0].shape[2] // self.vectors

    def write(self, slots: Int64[Tensor, "b s"], new: Sequence[Float[Tensor, "b h s w"]]) -> None:
        """Store each layer's keys and values of new images in each row's own slots."""
        rows = torch.arange(len(slots), device=slots.device)[:, None]
        for buffer, keys_values in zip(self.buffers, new, strict=True):
            buffer[rows, :, slots] = keys_values.transpose(1, 2).to(buffer.dtype)

    def slice_rows(self, rows: slice) -> "ImageStore":
        """A store of some rows, which shares its tensors with this one."""
        part = copy(self)
        part.buffers, part.counts = [buffer[rows] for buffer in self.buffers], self.counts[rows]
        return part

    def copy_row(self, source: int, target: int) -> None:
        """Overwrite row `target` by row `source`."""
        for tensor in (*self.buffers, self.counts):
            tensor[target] = tensor[source]

    def copy_rows(self, start: int, sources: Sequence[int]) -> None:
        """Overwrite row `start + i` by row `start + sources[i]`, all at once."""
        index = torch.tensor(sources, device=self.counts.device)
        for tensor in (*self.buffers, self.counts):
            rows = tensor[start : start + len(sources)]
            rows.copy_(rows[index])

    def enlarge(self, rows: int, images: int) -> "ImageStore":
        """Returns a larger store with the contents of this one."""
        new, more = copy(self), rows - len(self.counts)
        slots = (images - self.images) * self.vectors
        new.buffers = [torch.nn.functional.pad(one, (0, 0, 0, slots, 0, 0, 0, more)) for one in self.buffers]
        new.counts = torch.nn.functional.pad(self.counts, (0, more))
        return new


class Cache:
    """Keys and values of `rows` sequences of up to `length` tokens, for every layer; with `images`, also the
    number of the image that each token belongs to; with `images_seen`, the images of cross-attention."""

    def __init__(
        self,
        *,
        layers: int,
        rows: int,
        length: int,
        kv_heads: int,
        head_width: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        images: bool = False,
        images_seen: ImageStore | None = None,
    ):
        self.buffers = [
            torch.zeros(rows, 2 * kv_heads, length, head_width, device=device, dtype=dtype)
            for _ in range(layers)
        ]
        self.layers = layers
        if images:
            self.buffers.append(torch.zeros(rows, 1, length, device=device, dtype=torch.long))
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.longest, self.images_seen = 0, images_seen

    @property
    def rows(self) -> int:
        """Number of sequences."""
        return self.buffers[0].shape[0]

    @property
    def capacity(self) -> int:
        """Maximum number of tokens per row."""
        return self.buffers[0].shape[2]

    def reserve(self, tokens: int, *, multiple: int = 1) -> CacheView:
        """Claim the next `tokens` slots of every row.

        Args:
            tokens: number of slots.
            multiple: the mask covers a multiple of this many slots, including unused ones.

        Raises:
            ValueError: a row would exceed the capacity.
        """
        if self.longest + tokens > self.capacity:
            raise ValueError(
                f"a cache row must have at most {self.capacity} tokens, got {self.longest} + {tokens}"
            )
        slots = self.lengths[:, None] + torch.arange(tokens, device=self.lengths.device)
        self.lengths = self.lengths + tokens
        self.longest += tokens
        covered = min(self.capacity, -(-self.longest // multiple) * multiple)
        keys = torch.arange(covered, device=self.lengths.device)
        return CacheView(tuple(self.buffers[: self.layers]), slots, (keys <= slots[:, :, None]).unsqueeze(1))

    @property
    def image_numbers(self) -> Int64[Tensor, "b s"]:
        """Number of the image that each slot's token belongs to, 0 for none; undefined for unused slots."""
        return self.buffers[self.layers][:, 0]

    def image_counts(self) -> Int64[Tensor, " b"]:
        """Number of images in each row so far."""
        used = torch.arange(self.capacity, device=self.lengths.device) < self.lengths[:, None]
        return self.image_numbers.where(used, 0).amax(1)

    def slice_rows(self, start: int, lengths: Sequence[int]) -> "Cache":
        """A cache of the rows from `start` on, of these lengths. It shares its buffers with this cache, whose
        own lengths do not change."""
        part, rows = copy(self), slice(start, start + len(lengths))
        part.buffers = [buffer[rows] for buffer in self.buffers]
        if self.images_seen is not None:
            part.images_seen = self.images_seen.slice_rows(rows)
        part.lengths = torch.tensor(lengths, dtype=torch.long, device=self.lengths.device)
        part.longest = max(lengths, default=0)
        return part

    def copy_row(self, source: int, target: int, *, tokens: int) -> None:
        """Overwrite the first tokens of row `target` by those of row `source`."""
        for buffer in self.buffers:
            buffer[target, :, :tokens] = buffer[source, :, :tokens]
        if self.images_seen is not None:
            self.images_seen.copy_row(source, target)

    def copy_rows(self, start: int, sources: Sequence[int], *, tokens: int) -> None:
        """Overwrite the first tokens of row `start + i` by those of row `start + sources[i]`, all at once."""
        index = torch.tensor(sources, device=self.lengths.device)
        for buffer in self.buffers:
            rows = buffer[start : start + len(sources), :, :tokens]
            rows.copy_(rows[index])
        if self.images_seen is not None:
            self.images_seen.copy_rows(start, sources)

    def enlarge(self, rows: int, length: int, *, images: int = 0) -> "Cache":
        """Returns a larger cache with the contents of this one; `images` is the most of a row that are seen
        by cross-attention."""
        new = copy(self)
        if self.images_seen is not None:
            new.images_seen = self.images_seen.enlarge(rows, max(images, self.images_seen.images))
        new.lengths = torch.nn.functional.pad(self.lengths, (0, rows - len(self.lengths)))
        new.buffers = [
            buffer.new_zeros(rows, buffer.shape[1], length, *buffer.shape[3:]) for buffer in self.buffers
        ]
        for larger, buffer in zip(new.buffers, self.buffers, strict=True):
            larger[: self.rows, :, : self.capacity] = buffer
        return new
