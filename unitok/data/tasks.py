"""Tasks: the order of segments, and when the condition is dropped. Knows codes, no ids.

Sources and stores hold the canonical order, text before image; a task is applied whenever a document is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar, get_args

from unitok.data.keyed_random import uniform
from unitok.document import Codes, Segment

Part = TypeVar("Part", Segment, Codes)
Task = Literal["caption", "draw", "both", "chat"]
PAIR = ("text", "image")
UNPROMPTED = ("text", "image")


def check_task(task: str, condition_dropout: float) -> None:
    """Raises ValueError where a task is unknown or a probability is none."""
    if task not in get_args(Task):
        raise ValueError(f"task is one of {', '.join(get_args(Task))}, not {task!r}")
    if not 0 <= condition_dropout < 1:
        raise ValueError(f"condition_dropout is a probability from 0 to below 1, not {condition_dropout}")


def learned_only(segments: Iterable[Part], modalities: Sequence[str] | None) -> list[Part]:
    """Segments of which those of other modalities are not learned; None changes nothing."""
    return [
        segment if modalities is None or segment.modality in modalities else replace(segment, learn=False)
        for segment in segments
    ]


def arrange(
    codes: Sequence[Codes],
    *,
    task: Task,
    condition_dropout: float,
    unprompted: Sequence[str] = UNPROMPTED,
    seed: int,
    epoch: int,
    index: int,
) -> list[Codes]:
    """A document as its task reads it in one epoch.

    Args:
        codes: its segments in canonical order. What follows is for pairs (text, image): a conversation, a
            page or a task, which has its own order and its own marks of what is learned, stays as it is, but
            for `condition_dropout` where its last segment is learned and in `unprompted`.
        task: "draw" keeps the order (text, then image), "caption" turns it round, "both" tosses a coin;
            "chat" leaves all as they are.
        condition_dropout: probability that only the last segment is left, which guidance needs; where earlier
            ones are of its modality, as in an edit, they are left as well half of that (InstructPix2Pix,
            arXiv:2211.09800, section 3.2.1).
        unprompted: modalities that are also learned without a prompt: as a document's first segment, and
            alone by `condition_dropout`. A model that never learns captions by themselves has no habit of
            pairing words to unlearn when a picture shows a pair that it has not seen.
        seed, epoch, index: what the draws depend on; nothing else does.

    Example:
        >>> import torch
        >>> text, image = (Codes(name, torch.tensor([1]), (1,)) for name in ("text", "image"))
        >>> options = {"condition_dropout": 0.0, "seed": 0, "epoch": 0, "index": 0}
        >>> [c.modality for c in arrange([text, image], task="caption", **options)]
        ['image', 'text']
    """
    if task == "chat":
        return list(codes)
    drawn = uniform(seed, epoch, index, "condition") if condition_dropout else 1.0
    if tuple(segment.modality for segment in codes) != PAIR:
        if len(codes) > 2 and drawn < condition_dropout and _goes_alone(codes[-1], unprompted):
            return _answer(codes, with_alike=drawn < condition_dropout / 2)
        return list(codes)
    turned = task == "caption" or (task == "both" and uniform(seed, epoch, index, "task") < 0.5)
    first, last = codes[::-1] if turned else codes
    if drawn < condition_dropout and _goes_alone(last, unprompted):
        return [last]
    return [first if first.modality in unprompted else replace(first, learn=False), last]


def _goes_alone(codes: Codes, unprompted: Sequence[str]) -> bool:
    return codes.learn and codes.modality in unprompted


def _answer(codes: Sequence[Codes], *, with_alike: bool) -> list[Codes]:
    """The last segment alone, or after those before it that are of its modality."""
    *asked, answer = codes
    return [*(segment for segment in asked if with_alike and segment.modality == answer.modality), answer]
