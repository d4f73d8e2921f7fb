"""The parts of a model that a stage of training trains; the others are frozen. Knows no data.

Stages as LLaVA's (arXiv:2304.08485, section 4.2): alignment trains the bridge and the rows of new ids;
instruction all but the encoder. MiniGPT-4's (arXiv:2304.10592) trains the last layer of the bridge alone.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from unitok.models.transformer import Transformer
from unitok.training.weights.parallelize import zero_rows

Part = Literal["encoder", "bridge", "bridge.out", "cross", "visual", "rows", "words", "blocks"]
OF_BRIDGE, OF_BLOCKS = ("encoder", "bridge", "bridge.out"), ("cross", "visual")
"""Parts of models that see, and of those whose blocks see in ways of their own."""
EMBEDDINGS = ("embedding.weight", "unembedding.weight")


def part_of(name: str) -> str:
    """The part to which a weight belongs by its name; rows and words share the embeddings."""
    if name in EMBEDDINGS:
        return "embeddings"
    if name.startswith("bridge.encoder."):
        return "encoder"
    if name.startswith("bridge.layers.out."):
        return "bridge.out"
    if ".visual_" in name:
        return "visual"
    return next((part for part in ("bridge", "cross") if name.startswith(f"{part}.")), "blocks")


class TrainedParts:
    """What is trained of a model.

    Args:
        parts: names; None for all but the encoder.
        model: of which they are.
        known_ids: ids whose rows are words; all others are new.

    Raises:
        ValueError: a part is unknown or absent, or there is none.
    """

    def __init__(self, parts: Sequence[str] | None, model: Transformer, *, known_ids: Sequence[range]):
        if parts is not None:
            absent = _absent_parts(model)
            known = [name for name in get_args(Part) if name not in absent]
            unknown = [part for part in parts if part not in known]
            if unknown or not parts:
                raise ValueError(f"parts must be some of {', '.join(known)}, got {list(parts)}")
        self.parts = {"bridge", "cross", "visual", "rows", "words", "blocks"} if parts is None else set(parts)
        if "bridge" in self.parts:
            self.parts.add("bridge.out")
        self.known_ids = tuple(known_ids)

    def freeze(self, model: Transformer) -> None:
        """Exclude the weights of other parts from the training."""
        trained = self.parts | ({"embeddings"} if self.parts & {"rows", "words"} else set())
        for name, weight in model.named_parameters():
            if part_of(name) not in trained:
                weight.requires_grad_(False)

    def freeze_rows(self, model: Transformer) -> None:
        """Zero the gradients of the rows of other parts in the embedding and the head."""
        known = sorted(self.known_ids, key=lambda ids: ids.start)
        new = complement(known, model.config.vocab_size)
        frozen = [*(known if "words" not in self.parts else ()), *(new if "rows" not in self.parts else ())]
        for name, weight in model.named_parameters() if frozen else ():
            if name in EMBEDDINGS and weight.grad is not None:
                zero_rows(weight.grad, frozen)


def _absent_parts(model: Transformer) -> set[str]:
    """The parts that other models have."""
    present = {part_of(name) for name, _ in model.named_parameters()}
    absent = {part for part in OF_BLOCKS if part not in present}
    return absent if model.bridge is not None else absent.union(OF_BRIDGE)


def complement(ranges: Iterable[range], size: int) -> list[range]:
    """The ids of 0..size-1 outside of sorted ranges."""
    gaps, start = [], 0
    for ids in ranges:
        gaps.append(range(start, max(start, ids.start)))
        start = max(start, ids.stop)
    return [gap for gap in (*gaps, range(start, max(start, size))) if len(gap)]
