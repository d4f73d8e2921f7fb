"""Tasks: the order of segments, and when the condition is dropped. Knows codes, no ids.

Sources and stores hold the canonical order, text before image; a task is applied whenever a document is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

from unitok.data.keyed_random import uniform
from unitok.document import Codes, Segment

Item = TypeVar("Item", Segment, Codes)
Task = Literal["caption", "draw", "both", "chat"]
Answers = Literal["all", "one"]
First = Literal["learned", "shown"]
PAIR = ("text", "image")
UNPROMPTED = ("text", "image")


def check_task(task: str, condition_dropout: float, captions: float = 0.5) -> None:
    """Raises ValueError if a task is unknown or a probability is out of range."""
    if task not in get_args(Task):
        raise ValueError(f"task must be one of {', '.join(get_args(Task))}, got {task!r}")
    if not 0 < captions < 1:
        raise ValueError(f"captions must be above 0 and below 1, got {captions}")
    if not 0 <= condition_dropout < 1:
        raise ValueError(f"condition_dropout must be in [0, 1), got {condition_dropout}")


@dataclass(frozen=True)
class TaskConfig:
    """Which segments of a document are learned after which.

    Args:
        name: of pairs: "caption" learns text after image, "draw" image after text, "both" tosses a coin.
            Conversations and interleaved documents keep their order; with "chat", pairs do too.
        captions: share of pairs that learn text after image where the name is "both".
        condition_dropout: probability that a document keeps only its last segment, or also those of the same
            modality, which guidance needs; see `arrange`.
        unprompted: modalities that are also learned without a prompt: as a document's first segment, and
            alone by `condition_dropout`.
        first: "learned" learns the first segment of a pair, too, where `unprompted` has its modality; with
            "shown" it is only read, so that images are learned from their texts, or alone by
            `condition_dropout`.
        answers: "all" learns every learned segment of a document after those before it; with "one", a segment
            drawn at random is learned, all before it is shown, and what follows is dropped: what models with
            model.sizes.variant.bidirectional=prefix need, whose prompts are read in both directions.
    """

    name: Task = "both"
    captions: float = 0.5
    condition_dropout: float = 0.1
    unprompted: Sequence[str] = UNPROMPTED
    first: First = "learned"
    answers: Answers = "all"


def learn_only(segments: Iterable[Item], modalities: Sequence[str] | None) -> list[Item]:
    """Marks segments of all other modalities as not learned; None changes nothing."""
    return [
        segment if modalities is None or segment.modality in modalities else replace(segment, learn=False)
        for segment in segments
    ]


def arrange(
    codes: Sequence[Item],
    *,
    task: Task,
    captions: float = 0.5,
    condition_dropout: float,
    unprompted: Sequence[str] = UNPROMPTED,
    shown: Sequence[str] = (),
    seed: int,
    epoch: int,
    index: int,
) -> list[Item]:
    """Orders the segments of a document by its task, and drops its condition at random.

    Args:
        codes: its segments in canonical order. The task applies to pairs (text, image). A conversation, an
            interleaved document or another task has its own order and learned segments and is unchanged,
            except that `condition_dropout` applies where its last segment is learned and in `unprompted`.
        task: "draw" keeps the order (text, then image), "caption" reverses it, "both" tosses a coin; "chat"
            leaves all documents unchanged.
        captions: share of captions with "both".
        condition_dropout: probability that only the last segment is kept, which guidance needs; half of the
            time, earlier segments of its modality are kept too, as in an edit (InstructPix2Pix,
            arXiv:2211.09800, section 3.2.1).
        unprompted: modalities that are also learned without a prompt: as a document's first segment, and
            alone by `condition_dropout`. A model that never learns captions by themselves has no habit of
            pairing words to unlearn when an image shows a pair that it has not seen.
        shown: modalities that are only read before the other segment of a pair, such as those that a model
            sees as vectors, which have no targets.
        seed, epoch, index: the key of the random numbers, which depend on nothing else.

    Example:
        >>> import torch
        >>> text, image = (Codes(name, torch.tensor([1]), (1,)) for name in ("text", "image"))
        >>> options = {"condition_dropout": 0.0, "seed": 0, "epoch": 0, "index": 0}
        >>> [c.modality for c in arrange([text, image], task="caption", **options)]
        ['image', 'text']
    """
    if task == "chat":
        return list(codes)
    sampled = uniform(seed, epoch, index, "condition") if condition_dropout else 1.0
    if tuple(segment.modality for segment in codes) != PAIR:
        is_task = len(codes) > 2 or (len(codes) == 2 and codes[-1].modality not in PAIR)
        if is_task and sampled < condition_dropout and _may_stand_alone(codes[-1], unprompted):
            return _answer(codes, keep_modality=sampled < condition_dropout / 2)
        return list(codes)
    reverse = task == "caption" or (task == "both" and uniform(seed, epoch, index, "task") < captions)
    first, last = codes[::-1] if reverse else codes
    if sampled < condition_dropout and _may_stand_alone(last, unprompted):
        return [last]
    learned = first.modality in unprompted and first.modality not in shown
    return [first if learned else replace(first, learn=False), last]


def learn_one(segments: Sequence[Item], *, seed: int, epoch: int, index: int) -> list[Item]:
    """Keeps one learned segment as the answer, and all before it as shown; of two segments the last, of more
    one drawn at random.

    Example:
        >>> turns = [Segment("text", text, learn=text.isdigit()) for text in ("a?", "1", "b?", "2")]
        >>> [(s.content, s.learn) for s in learn_one(turns, seed=0, epoch=0, index=1)]
        [('a?', False), ('1', False), ('b?', False), ('2', True)]
    """
    learned = [place for place, segment in enumerate(segments) if segment.learn]
    if not learned:
        return list(segments)
    place = learned[-1]
    if len(segments) > 2:
        place = learned[int(uniform(seed, epoch, index, "answer") * len(learned))]
    return [*(replace(segment, learn=False) for segment in segments[:place]), segments[place]]


def _may_stand_alone(codes: Item, unprompted: Sequence[str]) -> bool:
    return codes.learn and codes.modality in unprompted


def _answer(codes: Sequence[Item], *, keep_modality: bool) -> list[Item]:
    """The last segment alone, or with the earlier segments of its modality."""
    *prompt, answer = codes
    return [*(part for part in prompt if keep_modality and part.modality == answer.modality), answer]
