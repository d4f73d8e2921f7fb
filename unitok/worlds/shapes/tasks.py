"""Tasks on scenes as documents: image, question, answer. Knows no tokenizer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import NamedTuple

from PIL import Image

from unitok.document import Document, Segment
from unitok.worlds.seeded import SPLIT_SEEDS, TRAIN_SEED, Seeded, one_of, split_of
from unitok.worlds.shapes import edits, questions, statements, statements_three, statements_two
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.questions import Asked
from unitok.worlds.shapes.scenes import sample_scene
from unitok.worlds.shapes.world import HELD_OUT, SEEN, Scene


class Task(NamedTuple):
    """How a task asks (`ask` takes its scenes, the looks and a generator), of which kinds of scenes, whether
    its answer is the last of a document, and of how many scenes at once."""

    ask: Callable[..., Asked | None]
    kinds: tuple[str, ...]
    last: bool = False
    pictures: int = 1


SEVERAL = ("two", "three")
ANY = ("one", *SEVERAL)
USUAL = {
    "color": Task(questions.ask_colour, ANY),
    "shape": Task(questions.ask_shape, ANY),
    "count": Task(questions.ask_count, (*ANY, "counting")),
    "exist": Task(questions.ask_exist, ANY),
    "relation": Task(questions.ask_relation, SEVERAL),
    "box": Task(questions.ask_box, ANY),
    "point": Task(questions.ask_point, ANY),
    "name": Task(questions.ask_name, ANY),
    "pointing": Task(questions.ask_pointing, (*ANY, "counting")),
    "edit_colour": Task(edits.edit_colour, ANY, last=True),
    "edit_size": Task(edits.edit_size, ANY, last=True),
    "edit_remove": Task(edits.edit_remove, SEVERAL, last=True),
    "edit_add": Task(edits.edit_add, ("one", "two"), last=True),
}
"""What a source asks that names no tasks. It stays as it is, or a seed would be another document one day."""

TASKS = USUAL | {
    "statement": Task(statements.ask_statement, (*ANY, "counting")),
    "statement_two": Task(statements_two.ask_statement_two, (*ANY, "counting"), pictures=2),
    "statement_three": Task(statements_three.ask_statement_three, (*ANY, "counting"), pictures=3),
    "choice": Task(statements.ask_choice, ANY),
}
"""Tasks by name."""


class Posed(NamedTuple):
    """One scene to three, and what is asked of them, one turn or several."""

    scenes: tuple[Scene, ...]
    turns: tuple[Asked, ...]

    @property
    def scene(self) -> Scene:
        """The first one."""
        return self.scenes[0]


def pose(
    seed: int, *, tasks: Sequence[str], canvas: int = 64, turns: int = 1, held_out: bool = False
) -> Posed:
    """What a seed asks, of which scene: a pure function of its arguments.

    The scenes are drawn from the seed's own split, anew until the task can be asked of them. Held-out
    compositions are neither shown, named nor made with `held_out=False`; each scene shows at least one with
    `held_out=True`, and questions are about it where they can be.

    Args:
        seed: 0 or more; scenes belong to the split of this seed.
        tasks: names among TASKS, each equally likely; one that is named twice is asked twice as often.
        canvas: pixels a side.
        turns: questions in a row about the same pictures; edits come alone.
        held_out: see above.

    Raises:
        ValueError: an unknown task, no task, or fewer than one turn.
    """
    check_tasks(tasks, turns)
    rng = Random(f"task of {seed}")
    task = TASKS[one_of(rng, tasks)]
    looks = SEEN + HELD_OUT if held_out else SEEN
    for _ in count():
        scenes = []
        for _ in range(task.pictures):
            place = split_of(seed) + int(rng.random() * SPLIT_SEEDS)
            kind = one_of(rng, task.kinds)
            scenes.append(sample_scene(place, canvas=canvas, kind=kind, held_out=held_out))
        asked = task.ask(*scenes, looks, rng)
        if asked is not None:
            break
    more = [] if task.last else _more(scenes, asked, tasks, looks, rng, turns - 1)
    return Posed(tuple(scenes), (asked, *more))


def check_tasks(tasks: Sequence[str], turns: int) -> None:
    """Raises ValueError for an unknown task, no task, or fewer than one turn."""
    unknown = [name for name in tasks if name not in TASKS]
    if unknown or not tasks or turns < 1:
        raise ValueError(
            f"got tasks {list(tasks)}, turns {turns}; expected some of {', '.join(TASKS)}, and 1 turn or more"
        )


def _more(
    scenes: Sequence[Scene],
    first: Asked,
    tasks: Sequence[str],
    looks: Sequence[questions.Look],
    rng: Random,
    turns: int,
) -> list[Asked]:
    """Up to `turns` further questions about the same scenes, no two alike."""
    found = [first]
    asking = [TASKS[name] for name in tasks]
    open_tasks = [task for task in asking if not task.last and task.pictures == len(scenes)]
    for _ in range(turns):
        asked = one_of(rng, open_tasks).ask(*scenes, looks, rng)
        if asked is not None and all(asked.question != other.question for other in found):
            found.append(asked)
    return found[1:]


def document_of(posed: Posed, *, learn_all: bool = False) -> Document:
    """The pictures, then each question and its answer; answers alone are learned, or everything."""
    segments = [Segment("image", scene, learn=learn_all) for scene in posed.scenes]
    for asked in posed.turns:
        segments += [replace(segment, learn=learn_all) for segment in asked.question]
        segments += asked.answer
    return tuple(_shown(segment) for segment in segments)


def _shown(segment: Segment) -> Segment:
    """A segment with its scene, if it holds one, as a picture."""
    if not isinstance(segment.content, Scene):
        return segment
    return replace(segment, content=Image.fromarray(render(segment.content)))


class ShapesTasks(Seeded):
    """`count` documents of consecutive seeds: pictures with questions and answers, or an edit.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: documents.
        canvas: pixels a side.
        tasks: names among TASKS; None takes the USUAL ones, without statements and choices.
        turns: questions in a row about the same pictures.
        learn_all: learn pictures and questions too, not the answers alone.
        held_out: scenes that show held-out compositions, for tests; see `pose`.
    """

    def __init__(
        self,
        first_seed: int = TRAIN_SEED,
        count: int = 20_000,
        canvas: int = 64,
        tasks: list[str] | None = None,
        turns: int = 1,
        learn_all: bool = False,
        held_out: bool = False,
    ):
        super().__init__(first_seed, count)
        self.tasks = tuple(USUAL) if tasks is None else tuple(tasks)
        check_tasks(self.tasks, turns)
        self.canvas, self.turns, self.learn_all, self.held_out = canvas, turns, learn_all, held_out
        self.posed(0)  # a wrong canvas fails here

    def posed(self, index: int) -> Posed:
        """The scene at an index and what is asked of it, for a judge."""
        seed, options = self.seed(index), {"turns": self.turns, "held_out": self.held_out}
        return pose(seed, tasks=self.tasks, canvas=self.canvas, **options)

    def __getitem__(self, index: int) -> Document:
        return document_of(self.posed(index), learn_all=self.learn_all)
