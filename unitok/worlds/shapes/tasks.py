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
from unitok.worlds.shapes.questions import QuestionAnswer
from unitok.worlds.shapes.scenes import sample_scene
from unitok.worlds.shapes.world import HELD_OUT, SEEN, Scene


class Task(NamedTuple):
    """A kind of question.

    `ask` takes the scenes, the looks and a random generator; `kinds` are kinds of scenes; `last` tells
    whether the answer ends its document; `images` is the number of scenes in a question.
    """

    ask: Callable[..., QuestionAnswer | None]
    kinds: tuple[str, ...]
    last: bool = False
    images: int = 1


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
"""The default tasks of a source. They must not change, or the documents of seeds would change."""

TASKS = USUAL | {
    "statement": Task(statements.ask_statement, (*ANY, "counting")),
    "statement_two": Task(statements_two.ask_statement_two, (*ANY, "counting"), images=2),
    "statement_three": Task(statements_three.ask_statement_three, (*ANY, "counting"), images=3),
    "choice": Task(statements.ask_choice, ANY),
}
"""Tasks by name."""


class TaskSample(NamedTuple):
    """One to three scenes, with one or more questions about them."""

    scenes: tuple[Scene, ...]
    turns: tuple[QuestionAnswer, ...]

    @property
    def scene(self) -> Scene:
        """The first scene."""
        return self.scenes[0]


def sample_task(
    seed: int, *, tasks: Sequence[str], canvas: int = 64, turns: int = 1, held_out: bool = False
) -> TaskSample:
    """The scenes and questions of a seed: a pure function of its arguments.

    Scenes are sampled from the seed's split until they allow a question of the task. With `held_out=False`
    held-out compositions are neither shown, named nor created; with `held_out=True` each scene shows at least
    one, and questions are about it if possible.

    Args:
        seed: 0 or more; scenes belong to the split of this seed.
        tasks: names among TASKS, each equally likely; a name given twice is twice as likely.
        canvas: side of an image, in pixels.
        turns: maximum number of questions about the same images; an edit ends its document.
        held_out: see above.

    Raises:
        ValueError: a task is unknown, or there is no task or no turn.
    """
    check_tasks(tasks, turns)
    rng = Random(f"task of {seed}")
    task = TASKS[one_of(rng, tasks)]
    looks = SEEN + HELD_OUT if held_out else SEEN
    for _ in count():
        scenes = []
        for _ in range(task.images):
            scene_seed = split_of(seed) + int(rng.random() * SPLIT_SEEDS)
            kind = one_of(rng, task.kinds)
            scenes.append(sample_scene(scene_seed, canvas=canvas, kind=kind, held_out=held_out))
        first = task.ask(*scenes, looks, rng)
        if first is not None:
            break
    more = [] if task.last else _follow_ups(scenes, first, tasks, looks, rng, turns - 1)
    return TaskSample(tuple(scenes), (first, *more))


def check_tasks(tasks: Sequence[str], turns: int) -> None:
    """Raises ValueError if a task is unknown, or there is no task or no turn."""
    unknown = [name for name in tasks if name not in TASKS]
    if unknown or not tasks or turns < 1:
        raise ValueError(
            f"tasks must be some of {', '.join(TASKS)} and turns at least 1, got tasks {list(tasks)}, "
            f"turns {turns}"
        )


def _follow_ups(
    scenes: Sequence[Scene],
    first: QuestionAnswer,
    tasks: Sequence[str],
    looks: Sequence[questions.Look],
    rng: Random,
    turns: int,
) -> list[QuestionAnswer]:
    """Up to `turns` further, distinct questions about the same scenes."""
    result = [first]
    candidates = [TASKS[name] for name in tasks]
    candidates = [task for task in candidates if not task.last and task.images == len(scenes)]
    for _ in range(turns):
        turn = one_of(rng, candidates).ask(*scenes, looks, rng)
        if turn is not None and all(turn.question != other.question for other in result):
            result.append(turn)
    return result[1:]


def to_document(sample: TaskSample, *, learn_all: bool = False) -> Document:
    """The images, then each question and its answer; only answers are learned, or everything."""
    segments = [Segment("image", scene, learn=learn_all) for scene in sample.scenes]
    for turn in sample.turns:
        segments += [replace(segment, learn=learn_all) for segment in turn.question]
        segments += turn.answer
    return tuple(_render_scene(segment) for segment in segments)


def _render_scene(segment: Segment) -> Segment:
    """Returns a segment with its scene rendered, if it holds one."""
    if not isinstance(segment.content, Scene):
        return segment
    return replace(segment, content=Image.fromarray(render(segment.content)))


class ShapesTasks(Seeded):
    """`count` documents of consecutive seeds: images with questions and answers, or an edit.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: number of documents.
        canvas: side of an image, in pixels.
        tasks: names among TASKS; None uses the USUAL ones, without statements and choices.
        turns: maximum number of questions about the same images.
        learn_all: whether images and questions are learned too.
        held_out: whether scenes show held-out compositions, for tests; see `sample_task`.
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
        self.sample(0)  # raises for an invalid canvas

    def sample(self, index: int) -> TaskSample:
        """The scenes and questions at an index, for a judge."""
        seed, options = self.seed(index), {"turns": self.turns, "held_out": self.held_out}
        return sample_task(seed, tasks=self.tasks, canvas=self.canvas, **options)

    def __getitem__(self, index: int) -> Document:
        return to_document(self.sample(index), learn_all=self.learn_all)
