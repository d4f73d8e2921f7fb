"""Kinds of tasks, recognised by the shape of training documents. Knows no weights and no files.

A document is split into turns: what is shown, and what is learned after it. A kind of task is a function that
tells whether a turn shows it; `@task_kind` registers another one.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from unitok.api.learned_tasks import LearnedTask, TaskExample
from unitok.chat_template import ChatTemplate
from unitok.document import Codes, Document, Segment

EXAMPLES = 2
"""Different examples that are kept of a task."""
LONGEST = 200
"""Characters of an example's text that are kept."""
DARK = 48
"""Of 255: a hole's pixels are darker, and differ by more from the whole image's."""
HOLE_SHARE = 0.9
"""Share of the changed pixels that are dark where a hole is filled."""


class ShownTurn(NamedTuple):
    """What a document shows before an answer, and the answer.

    Args:
        before: all segments before the answer, without the chat template's marks.
        prompt: those of them after the previous answer.
        answer: the learned segments.
        number: of the turn in its document, from 0.
        marked: whether the chat template's marks are in the document.
        system: whether a system message comes first.
    """

    before: Document
    prompt: Document
    answer: Document
    number: int = 0
    marked: bool = False
    system: bool = False

    @property
    def seen(self) -> list[str]:
        """Modalities of the segments before the answer."""
        return [segment.modality for segment in self.before]

    @property
    def written(self) -> list[str]:
        """Modalities of the answer."""
        return [segment.modality for segment in self.answer]


class TaskKind(NamedTuple):
    """What a model can do that learned the task, and whether a turn shows the task."""

    ability: str
    shows: Callable[[ShownTurn], bool]


KINDS: dict[str, TaskKind] = {}
"""Kinds of tasks by name, in the order in which lists name them."""


def task_kind(name: str, ability: str) -> Callable[[Callable[[ShownTurn], bool]], Callable]:
    """Decorates a function that tells whether a turn shows a task.

    Args:
        name: of the task, as in "it learned: captions, drawings".
        ability: such as "to write captions of images".
    """

    def register(shows: Callable[[ShownTurn], bool]) -> Callable[[ShownTurn], bool]:
        KINDS[name] = TaskKind(ability, shows)
        return shows

    return register


@task_kind("captions", "to write captions of images")
def _captions(turn: ShownTurn) -> bool:
    return {*turn.seen} == {"image"} and turn.written == ["text"]


@task_kind("drawings", "to draw images from texts")
def _drawings(turn: ShownTurn) -> bool:
    return {*turn.seen} == {"text"} and turn.written == ["image"]


@task_kind("questions", "to answer questions about images")
def _questions(turn: ShownTurn) -> bool:
    asked = "image" in turn.seen and {*turn.seen} != {"image"} and not _examples(turn)
    return asked and "text" in turn.written and "action" not in turn.written


@task_kind("boxes", "to mark objects by boxes or points")
def _boxes(turn: ShownTurn) -> bool:
    return "image" in turn.seen and not {"box", "point"}.isdisjoint(turn.written)


@task_kind("edits", "to edit images by instructions")
def _edits(turn: ShownTurn) -> bool:
    return _redraws(turn) and not _fills(turn)


@task_kind("fills", "to fill holes in images")
def _fills(turn: ShownTurn) -> bool:
    return _redraws(turn) and _has_hole(turn.before[0], turn.answer[0])


@task_kind("examples", "to name images after examples")
def _examples(turn: ShownTurn) -> bool:
    few_shot = turn.seen[:1] == turn.seen[-1:] == ["image"] and "text" in turn.seen
    return few_shot and turn.written == ["text"]


@task_kind("actions", "to act on instructions")
def _actions(turn: ShownTurn) -> bool:
    return "action" in turn.written


@task_kind("chat", "to chat")
def _chat(turn: ShownTurn) -> bool:
    follow_up = turn.number > 0 and [segment.modality for segment in turn.prompt] == ["text"]
    return turn.marked or (turn.written == ["text"] and (follow_up or {*turn.seen} == {"text"}))


@task_kind("system", "to follow system messages")
def _system(turn: ShownTurn) -> bool:
    return turn.system and "text" in turn.written


@task_kind("texts", "to write texts without a prompt")
def _texts(turn: ShownTurn) -> bool:
    return not turn.before and {*turn.written} == {"text"}


@task_kind("images", "to draw images without a prompt")
def _images(turn: ShownTurn) -> bool:
    return not turn.before and {*turn.written} == {"image"}


@task_kind("pages", "to continue pages of texts and images")
def _pages(turn: ShownTurn) -> bool:
    return not turn.before and {"text", "image"} <= {*turn.written}


@task_kind("others", "to continue documents of other kinds")
def _others(turn: ShownTurn) -> bool:
    return not any(kind.shows(turn) for kind in KINDS.values() if kind.shows is not _others)


def _redraws(turn: ShownTurn) -> bool:
    """Whether an image is drawn after an image and a text."""
    return turn.seen[:1] == ["image"] and turn.seen[-1:] == ["text"] and turn.written == ["image"]


def _has_hole(holed: Segment | Codes, whole: Segment | Codes) -> bool:
    """Whether an image is black where it differs from another; unknown images have no hole."""
    images = [getattr(segment, "content", None) for segment in (holed, whole)]
    if not all(isinstance(image, Image.Image) for image in images) or images[0].size != images[1].size:
        return False
    before, after = (np.asarray(image.convert("RGB"), np.int16) for image in images)
    changed = np.abs(before - after).max(axis=2) > DARK
    return bool(changed.any() and (before[changed].max(axis=1) < DARK).mean() >= HOLE_SHARE)


def shown_turns(document: Document, chat: ChatTemplate = ChatTemplate()) -> list[ShownTurn]:  # noqa: B008
    """Splits a document into turns, as training reads it: ordered by its task, with a loss on some segments.

    A segment with a loss is an answer. Where all have one, the second of a pair is the answer, after leading
    images every other segment, and a page of texts and images is one answer.
    """
    marks = {mark: role for role, mark in chat.marks.items() if mark}
    segments, roles, role = [], [], ""
    for segment in document:
        if segment.modality == "text" and segment.content in marks:
            role = marks[segment.content]
        else:
            segments.append(segment)
            roles.append(role)
    if "assistant" in roles:
        answers = [s.learn and role == "assistant" for s, role in zip(segments, roles, strict=True)]
    else:
        answers = _answers(segments)
    turns = _split(segments, answers)
    if not turns:
        return []
    unmarked = not marks and turns[0].seen[:1] == ["text"] and turns[0].seen.count("text") > 1
    system, marked = unmarked or "system" in roles or bool(chat.system), any(roles)
    return [turn._replace(marked=marked, system=system) for turn in turns]


def _answers(segments: Sequence[Segment | Codes]) -> list[bool]:
    """Which segments are answers, by their loss; see `shown_turns`."""
    learned = [segment.learn for segment in segments]
    if not all(learned[:1]) or {s.modality for s in segments} == {"image"}:
        return learned
    if len(segments) == 2:
        return [False, True] if learned[1] else learned
    images = len([*takewhile(lambda segment: segment.modality == "image", segments)])
    rest = segments[images:]
    if len(segments) == 1 or any(s.modality == "image" for s in rest[:-1]):
        return [True] * len(segments)
    alternate = [len(rest) == 1 or number % 2 == 1 for number in range(len(rest))]
    return [a and b for a, b in zip([False] * images + alternate, learned, strict=True)]


def _split(segments: Sequence[Segment | Codes], answers: Sequence[bool]) -> list[ShownTurn]:
    """Splits a document after each run of answers."""
    turns, start = [], 0
    for place, is_answer in enumerate(answers):
        if is_answer and not any(answers[place + 1 : place + 2]):
            first = next(i for i in range(start, place + 1) if answers[i])
            before, answer = tuple(segments[:first]), tuple(segments[first : place + 1])
            turns.append(ShownTurn(before, before[start:], answer, len(turns)))
            start = place + 1
    return turns


def find_tasks(
    documents: Iterable[Document],
    *,
    chat: ChatTemplate = ChatTemplate(),  # noqa: B008 (it is frozen)
    as_text: Callable[[str, Any], str] = lambda modality, content: str(content),
) -> tuple[LearnedTask, ...]:
    """Finds the tasks that documents show, in the order of KINDS, with the first examples of each.

    Args:
        documents: as training reads them, see `shown_turns`.
        chat: the template of their conversations.
        as_text: a segment's content as people read it, by its modality; not called for images.
    """
    found: dict[str, dict[TaskExample, None]] = {}
    for turn in (turn for document in documents for turn in shown_turns(document, chat)):
        example = TaskExample(_words(turn.prompt, as_text), _words(turn.answer, as_text))
        for name in (name for name, kind in KINDS.items() if kind.shows(turn)):
            found.setdefault(name, {})[example] = None
    return tuple(LearnedTask(name, (*found[name],)[:EXAMPLES]) for name in KINDS if name in found)


def _words(segments: Document, as_text: Callable[[str, Any], str]) -> str:
    """The words of some segments on one line, of LONGEST characters at most."""
    words = " ".join(as_text(s.modality, s.content) for s in segments if s.modality != "image")
    words = " ".join(words.split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def ability(name: str) -> str:
    """What a model can do that learned a task, such as "to write captions of images"."""
    return KINDS[name].ability if name in KINDS else f"the task {name}"


def unlearned(tasks: Sequence[LearnedTask] | None, *names: str) -> str | None:
    """The line that says that a model learned none of some tasks; None if it did, or nothing is recorded."""
    known = [task.name for task in tasks or ()]
    if tasks is None or not names or not {*names}.isdisjoint(known):
        return None
    abilities = " or ".join(map(ability, names))
    return f"this model never learned {abilities}; it learned: {', '.join(known) or 'nothing'}"
