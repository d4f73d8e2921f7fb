"""The Modality interface: content to local codes and back, and the grammar of its segments. Knows no joint
ids."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.json_files import build_instance


class Modality(ABC):
    """Turns one segment's content into codes 0..size-1 and back.

    The codes of a segment are a header (codes that state its shape, possibly none), then one code per cell of
    its grid. An open-ended segment (text) ends with the vocabulary's `end` instead of at a fixed count.
    """

    name: str
    """Lower-case letters, digits and _; each modality of a model has another name."""
    size: int
    """Number of local codes, header codes included."""

    @abstractmethod
    def encode(self, content: Any) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        """Codes of a segment's content without header, and their shape. ValueError for foreign content."""

    @abstractmethod
    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...]) -> Any:
        """Content of a segment's codes."""

    @abstractmethod
    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        """(time, row, column) of each code, relative to the segment's first code."""

    def encode_many(self, contents: Sequence[Any]) -> list[tuple[Int64[Tensor, " _"], tuple[int, ...]]]:
        """`encode` of several contents; a modality with a network encodes them in batches."""
        return [self.encode(content) for content in contents]

    def decode_many(
        self, codes: Sequence[Int64[Tensor, " _"]], shapes: Sequence[tuple[int, ...]]
    ) -> list[Any]:
        """`decode` of several segments."""
        return [self.decode(c, shape) for c, shape in zip(codes, shapes, strict=True)]

    @property
    def cells(self) -> range:
        """Local codes that fill the grid; the rest of 0..size-1 are header codes."""
        return range(self.size)

    @property
    def cell_ranges(self) -> tuple[range, ...]:
        """Legal codes of the grid's places, in turn: several ranges where a cell has several codes."""
        return (self.cells,)

    @property
    def open_ended(self) -> bool:
        """Whether a segment lasts until `end`, rather than for the number of cells of its shape."""
        return False

    @property
    def header_length(self) -> int:
        """Number of header codes before the grid: 0 where the shape is fixed or open-ended."""
        return 0

    @property
    def largest_shape(self) -> tuple[int, ...]:
        """The shape with the most cells, where segments are not open-ended."""
        raise ValueError(f"segments of {self.name!r} have no largest shape")

    def header(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Header codes that state `shape`."""
        return ()

    def header_codes(self) -> range:
        """Legal codes at every header place."""
        return range(self.size, self.size)

    def shape_of(self, header: Sequence[int]) -> tuple[int, ...]:
        """Shape that a complete header states."""
        raise ValueError(f"segments of {self.name!r} are open-ended: no header states their shape")

    def features(self) -> Float[Tensor, "n d"] | None:
        """A vector per cell code, similar for codes of similar content; None where there are none."""
        return None

    def features_key(self) -> str:
        """A cache key of `features`: all that they depend on; empty where they are cheap to recompute."""
        return ""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash that changes whenever the same content may be encoded differently."""

    # -- what a model's folder keeps of it, and what people see

    def settings(self) -> dict[str, Any]:
        """Arguments of `load`, for config.json: all that the files of `save` do not hold."""
        return {}

    def save(self, folder: Path) -> None:  # noqa: B027 (most have no files)
        """Write the files that `load` reads, such as a network's weights, into a folder, made if missing."""

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> "Modality":
        """The modality of these settings and of the files in a folder; by default settings are the class's
        arguments.

        Raises:
            OSError: a file is missing.
            ValueError: a setting is missing, unknown or wrong, or a file (which the error names) is corrupt.
        """
        return build_instance(cls, settings)

    def to(self, device: torch.device) -> None:  # noqa: B027 (most have no weights)
        """Move the weights of its network, if it has one."""

    def as_text(self, content: Any) -> str:
        """A segment's content as people read it in a chat."""
        return str(content)

    def preview_step(self, header: Sequence[int]) -> int:
        """Number of codes that extend a preview, such as those of an image's row; 0 for no previews."""
        return 0

    def preview(self, codes: Int64[Tensor, " n"], header: Sequence[int]) -> Any | None:
        """Content to show of a segment with a complete header and its first codes; None for nothing yet.

        The number of codes is a multiple of `preview_step`.
        """
        return None
