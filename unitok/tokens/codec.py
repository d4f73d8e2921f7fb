"""Tokenises and detokenises documents: content to codes (modalities) to ids (vocabulary). Knows no model."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int64
from PIL import Image
from torch import Tensor, nn

from unitok.document import Codes, Document, Segment, Tokens
from unitok.modalities.base import Modality
from unitok.modalities.image import ImageModality
from unitok.modalities.kinds import STRUCTURE, check_name
from unitok.modalities.vision import Vision
from unitok.pixels import Edges, as_rgb
from unitok.tokens.cursor import Cursor, Positions
from unitok.tokens.layout import FlatIds, Layout
from unitok.tokens.vision_layout import VISION, VisionLayout
from unitok.tokens.vocabulary import Group, Vocabulary


class Codec:
    """The modalities of a model and the joint id space that they share.

    Args:
        modalities: in the order of their ids; text first.
        positions: "grid" or "sequential", see Cursor.
        vision: sees the images that are shown, which are then vectors in place of codes; None for codes.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        *,
        positions: Positions = "grid",
        vision: Vision | None = None,
    ):
        if positions not in ("grid", "sequential"):
            raise ValueError(f"positions must be 'grid' or 'sequential', got {positions!r}")
        self.modalities: dict[str, Modality] = {modality.name: modality for modality in modalities}
        if len(self.modalities) < len(modalities):
            names = ", ".join(modality.name for modality in modalities)
            raise ValueError(f"modalities must have different names, got {names}")
        sizes = {m.name: m.size for m in modalities}
        for name, size in sizes.items():
            check_name(name)
            if size < 1 or name == VISION:
                raise ValueError(f"modality {name!r} must have a code and a name other than {VISION!r}")
        self.positions, self.vision = positions, vision
        if vision is None:
            self.vocabulary = Vocabulary(sizes)
            self._layout = Layout(self.vocabulary, self.modalities, positions)
        else:
            self.vocabulary = Vocabulary(sizes | {VISION: 0})
            self._layout = VisionLayout(
                self.vocabulary, self.modalities, positions, with_codes=vision.with_codes
            )

    @property
    def image(self) -> ImageModality:
        """The modality of images. Raises ValueError if there is none."""
        modality = self.modalities.get("image")
        if not isinstance(modality, ImageModality):
            raise ValueError(f"this needs a model with images, got one of {', '.join(self.modalities)}")
        return modality

    def fit(self, image: Image.Image) -> Image.Image:
        """Convert an image to RGB of the size at which the model is shown it. Raises the errors of as_rgb.

        It is what vision sees, such as several tiles, or that of the codes where it is larger, since an image
        may be seen and encoded. An image of which the two keep different parts stays whole.
        """
        encoded = self.image.fit(image)
        if self.vision is None:
            return encoded
        seen = self.vision.fit(image)
        if seen.width * seen.height >= encoded.width * encoded.height:
            return seen
        same_part = self.vision.crop_edges(image) == self.image.crop_edges(image)
        return encoded if same_part else as_rgb(image)

    def crop_edges(self, image: Image.Image) -> Edges:
        """Edges (left, top, right, bottom), in pixels of an image, of what the model is shown of it."""
        return (self.vision or self.image).crop_edges(image)

    @property
    def build_bridge(self) -> Callable[[int], nn.Module] | None:
        """Builds the bridge of a transformer of some width to the images that it is shown; None for none."""
        return None if self.vision is None else self.vision.bridge_builder()

    def to(self, device: torch.device) -> None:
        """Move the weights of all networks that encode and decode."""
        for modality in self.modalities.values():
            modality.to(device)
        if self.vision is not None:
            self.vision.to(device)

    def cursor(
        self, *, shapes: Mapping[str, tuple[int, ...]] | None = None, clock: int | None = None
    ) -> Cursor:
        """Returns a cursor at the start of a new document, or between two segments at time `clock`."""
        return Cursor(self.vocabulary, self.modalities, positions=self.positions, shapes=shapes, clock=clock)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The sets of ids among which targets are predicted; every learned target is in exactly one."""
        groups = [Group(STRUCTURE, STRUCTURE, self.vocabulary.starters)]
        for name, modality in self.modalities.items():
            if modality.open_ended:
                groups.append(Group(name, name, self.vocabulary.block(name)))
            else:
                ids = [self.vocabulary.to_range(name, codes) for codes in modality.cell_ranges]
                groups += [Group(name, name, block) for block in ids]
            if modality.header_length:
                groups.append(
                    Group(f"{name}_size", name, self.vocabulary.to_range(name, modality.header_codes()))
                )
        return tuple(groups)

    def fingerprint(self) -> str:
        """Hash of everything that determines the ids of a document."""
        parts = [f"{name}:{modality.fingerprint()}" for name, modality in self.modalities.items()]
        if self.vision is not None:
            parts.append(f"{VISION}:{self.vision.fingerprint()}")
        return hashlib.sha256(
            "\n".join([*parts, self.vocabulary.fingerprint(), self.positions]).encode()
        ).hexdigest()

    # -- content <-> codes

    def encode(self, document: Document) -> list[Codes]:
        """Convert each segment's content to codes."""
        return self.encode_many([document])[0]

    def encode_many(self, documents: Sequence[Document]) -> list[list[Codes]]:
        """`encode` of several documents; each modality encodes all its segments in one batch.

        Segments that are Codes already stay unchanged. With vision, an image gets features, too; one that is
        not learned gets them alone, unless its codes are laid out with them.
        """
        flat = [segment for document in documents for segment in document]
        encoded = [segment if isinstance(segment, Codes) else None for segment in flat]
        raw = [i for i, codes in enumerate(encoded) if codes is None]
        for name in dict.fromkeys(flat[i].modality for i in raw):
            places = [i for i in raw if flat[i].modality == name]
            for i, codes in zip(places, self._encode_segments(name, [flat[i] for i in places]), strict=True):
                encoded[i] = codes
        rest = iter(encoded)
        return [[next(rest) for _ in document] for document in documents]

    def _encode_segments(self, name: str, segments: Sequence[Segment]) -> list[Codes]:
        """Encode segments of one modality."""
        modality = self._modality(name)
        if self.vision is not None and name in self.vision.modalities:
            return self.vision.encode(segments, modality)
        results = modality.encode_many([segment.content for segment in segments])
        return [
            Codes(name, codes, shape, segment.learn)
            for segment, (codes, shape) in zip(segments, results, strict=True)
        ]

    def encode_prompts(self, documents: Sequence[Document]) -> list[list[Codes]]:
        """`encode_many` of documents that are read, of which nothing is learned."""
        return self.encode_many(
            [tuple(replace(segment, learn=False) for segment in document) for document in documents]
        )

    def decode(self, codes: Sequence[Codes]) -> Document:
        """Convert each segment's codes to content."""
        return self.decode_many([codes])[0]

    def decode_many(self, documents: Sequence[Sequence[Codes]]) -> list[Document]:
        """`decode` of several documents; each modality decodes all its segments in one batch."""
        flat = [codes for document in documents for codes in document]
        contents: list = [None] * len(flat)
        for name in dict.fromkeys(codes.modality for codes in flat):
            places = [i for i, codes in enumerate(flat) if codes.modality == name]
            decoded = self._modality(name).decode_many(
                [flat[i].codes for i in places], [flat[i].shape for i in places]
            )
            for i, content in zip(places, decoded, strict=True):
                contents[i] = content
        rest = iter(Segment(c.modality, content, c.learn) for c, content in zip(flat, contents, strict=True))
        return [tuple(next(rest) for _ in document) for document in documents]

    def as_text(self, name: str, content: Any) -> str:
        """A segment's content as people read it in a chat."""
        return self._modality(name).as_text(content)

    def _modality(self, name: str) -> Modality:
        if name not in self.modalities:
            raise ValueError(f"modality must be one of {', '.join(self.modalities)}, got {name!r}")
        return self.modalities[name]

    # -- codes <-> ids

    def join(self, codes: Sequence[Codes], *, open: str | None = None, done: bool = True) -> Tokens:
        """Returns ids, positions and loss mask of a document.

        Args:
            codes: its segments.
            open: modality of a final segment with a begin but no codes: the prompt to generate one.
            done: end the document; a prompt is not done.

        Ids that the grammar forces (`document_begin`, an image's end) are never learned.
        """
        flat = self.lay_out([codes], open=open, done=done)
        return Tokens(*map(torch.from_numpy, flat[:3]), flat.features)

    def lay_out(
        self, documents: Sequence[Sequence[Codes]], *, open: str | None = None, done: bool = True
    ) -> FlatIds:
        """`join` of several documents, laid out at once."""
        for name in {segment.modality for codes in documents for segment in codes} | {open} - {None}:
            self._modality(name)
        return self._layout.lay_out(documents, open=open, done=done)

    def length(self, codes: Sequence[Codes]) -> int:
        """Number of ids of a whole document."""
        return 2 + sum([self._layout.length(segment) for segment in codes])

    def segment_length(self, name: str, count: int) -> int:
        """Number of ids of a segment of `count` codes, including begin, header and end."""
        return 2 + self._modality(name).header_length + count

    def max_segment_ids(self, name: str, *, shape: tuple[int, ...] | None = None, limit: int) -> int:
        """Maximum number of ids of a segment after its begin, for a `shape` if given.

        Open-ended segments have at most `limit` codes.
        """
        modality = self._modality(name)
        if modality.open_ended:
            return limit + 1
        shape = shape or modality.largest_shape
        return modality.header_length + len(modality.grid(shape)) + 1

    def split(self, ids: Int64[Tensor, " t"]) -> list[Codes]:
        """Split a document's ids into segments; inverse of `join`. Raises ValueError for malformed ids."""
        vocabulary, values = self.vocabulary, ids.tolist()
        begin, end = vocabulary.document_begin, vocabulary.document_end
        if len(values) < 2 or values[0] != begin or values[-1] != end:
            raise ValueError(
                f"a document must start with id {begin} and end with {end}, got {len(values)} ids: "
                f"{values[:1]} … {values[-1:]}"
            )
        segments, i = [], 1
        while i < len(values) - 1:
            segment, i = self._split_segment(ids, values, i)
            segments.append(segment)
        return segments

    def _split_segment(self, ids: Tensor, values: list[int], i: int) -> tuple[Codes, int]:
        """Returns the segment that begins at place `i`, and the place after its end."""
        vocabulary, name = self.vocabulary, self.vocabulary.modality_of_begin(values[i])
        if name not in self.modalities:
            raise ValueError(f"id at place {i} must begin a segment of codes, got {values[i]}")
        modality, first = self.modalities[name], i + 1 + self.modalities[name].header_length
        if modality.open_ended:
            end = vocabulary.end(name)
            last = values.index(end, first) if end in values[first:] else -1
            shape = (last - first,)
        else:
            shape = modality.shape_of(vocabulary.to_codes(name, ids[i + 1 : first]).tolist())
            last = first + len(modality.grid(shape))
        if not first <= last < len(values) or values[last] != vocabulary.end(name):
            raise ValueError(f"the {name} at place {i} must end where its shape {shape} implies")
        codes = vocabulary.to_codes(name, ids[first:last])
        if len(codes) and int(codes.max()) not in modality.cells:
            raise ValueError(
                f"codes of the {name} at place {i} must be less than {modality.cells.stop}, "
                f"got {int(codes.max())}"
            )
        return Codes(name, codes, shape), last + 1
