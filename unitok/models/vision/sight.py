"""How a model sees the images that it is shown, and who sees whom, in words. Knows no weights."""

from collections.abc import Iterator, Mapping
from typing import Any

BOTH_WAYS = {
    "prefix": "in both directions inside what a document shows first, else causal",
    "images": "in both directions inside each image that is seen, else causal",
}


def describe_sight(
    transformer: Mapping[str, Any], vision: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    """What a table says of a model: names with a sentence each; nothing of a causal model that reads codes.

    Args:
        transformer: its sizes, as config.json holds them.
        vision: its encoder and bridge, likewise; None for a model that reads images as codes.
    """
    if vision:
        tiles = f", in at most {vision['tiles']} tiles" if "tiles" in vision else ""
        yield (
            "shown images",
            f"seen by {vision['encoder']['kind']} through a {vision['bridge']['kind']}{tiles}",
        )
    if every := transformer.get("cross_every"):
        which = "all images before a token" if transformer.get("cross_all") else "the most recent image"
        yield "cross-attention", f"to {which}, before every {every}. block"
    if rank := transformer.get("visual_rank"):
        yield "visual updates", f"of rank {rank}, which the vectors of images alone see"
    if kind := transformer.get("bidirectional"):
        yield "attention", BOTH_WAYS[kind]
