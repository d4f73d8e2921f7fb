"""A document's shape tells its task, whatever its source; what a model never learned is said in one line."""

import numpy as np
import pytest
from PIL import Image

from unitok.api.learned_tasks import LearnedTask, TaskExample
from unitok.api.task_kinds import KINDS, find_tasks, shown_turns, task_kind, unlearned
from unitok.chat_template import ChatTemplate, Turn
from unitok.document import Segment
from unitok.modalities.geometry import Box

WHOLE = Image.fromarray(np.full((8, 8, 3), 200, np.uint8))
MARKS = ChatTemplate(system_mark="s:", user_mark="u:", assistant_mark="a:")
PLACE = Box(0.1, 0.2, 0.5, 0.75)


def painted(value: int) -> Image.Image:
    """The whole image with a patch of this brightness."""
    pixels = np.array(WHOLE)
    pixels[2:5, 2:5] = value
    return Image.fromarray(pixels)


def document(words: str, *, image=WHOLE):
    """Segments by letters: t, i, b, a for text, image, box, action; capitals are learned."""
    kinds = {"t": ("text", "words"), "i": ("image", image), "b": ("box", PLACE), "a": ("action", "move")}
    return tuple(Segment(*kinds[letter.lower()], learn=letter.isupper()) for letter in words)


@pytest.mark.parametrize(
    "words, tasks",
    [
        ("IT", "captions"), ("iT", "captions"), ("TI", "drawings"), ("tI", "drawings"), ("T", "texts"),
        ("I", "images"), ("Ti", "texts"), ("itT", "questions"), ("iitT", "questions"), ("tiT", "questions"),
        ("ITT", "questions"), ("itbT", "questions"), ("ibT", "questions"), ("itB", "boxes"),
        ("itBBT", "questions boxes"), ("itTtT", "questions chat"), ("itTtB", "questions boxes"),
        ("itI", "edits"), ("ITI", "edits"), ("itA", "actions"), ("iTA", "actions"), ("iTATA", "actions"),
        ("itiT", "examples"), ("iTiT", "captions examples"), ("tT", "chat"), ("TT", "chat"),
        ("TTTT", "chat"), ("ttT", "chat system"), ("TIT", "pages"), ("ITIT", "pages"), ("TITI", "pages"),
        ("TTIT", "pages"), ("II", "images"), ("B", "others"), ("tiTTiTTiTTT", "questions"), ("it", ""),
    ],
)  # fmt: skip
def test_the_shape_of_a_document_tells_its_tasks(words, tasks):
    assert [task.name for task in find_tasks([document(words)])] == tasks.split()


@pytest.mark.parametrize("value, task", [(0, "fills"), (20, "fills"), (120, "edits")])
def test_a_black_hole_tells_an_image_to_fill_from_one_to_edit(value, task):
    text, drawn = Segment("text", "a wall", learn=False), Segment("image", WHOLE)
    holed = Segment("image", painted(value), learn=False)
    assert [task.name for task in find_tasks([(holed, text, drawn)])] == [task]


@pytest.mark.parametrize("learn", ["answers", "all"])
@pytest.mark.parametrize("system", [False, True])
def test_a_chat_template_tells_who_answers(learn, system):
    template = ChatTemplate(system_mark="s:", user_mark="u:", assistant_mark="a:", learn=learn)
    turns = [
        Turn("user", (Segment("image", WHOLE), Segment("text", "which?"))),
        Turn("assistant", (Segment("text", "red"),)),
    ]
    if system:
        turns = [Turn("system", (Segment("text", "be brief"),)), *turns]
    tasks = find_tasks([template.render(turns)], chat=template)
    assert [task.name for task in tasks] == ["questions", "chat", *(["system"] if system else [])]
    assert tasks[0].examples[0].answer == "red" and "u:" not in tasks[0].examples[0].prompt


def test_a_conversation_without_marks_has_a_turn_for_each_answer():
    turns = shown_turns(document("itTtT"))
    assert [(turn.seen, turn.written, len(turn.prompt)) for turn in turns] == [
        (["image", "text"], ["text"], 2),
        (["image", "text", "text", "text"], ["text"], 1),
    ]


def test_examples_are_few_short_and_on_one_line():
    texts = ["a\nred  star", "a red star", "x" * 300, "a blue star"]
    (task,) = find_tasks([(Segment("image", WHOLE), Segment("text", text)) for text in texts])
    assert task.examples == (TaskExample("", "a red star"), TaskExample("", f"{'x' * 199}…"))
    (task,) = find_tasks([document("itB")], as_text=lambda modality, content: f"<{modality}>")
    assert task.examples[0].text == "<text> → <box>"


def test_one_line_names_what_was_never_learned_and_what_was():
    tasks = (LearnedTask("captions"), LearnedTask("drawings"))
    line = unlearned(tasks, "questions")
    assert line == "this model never learned to answer questions about images; it learned: captions, drawings"
    assert "images or to chat;" in unlearned(tasks, "questions", "chat")
    assert (
        unlearned(tasks, "questions", "captions") is unlearned(None, "questions") is unlearned(tasks) is None
    )


def test_a_task_of_ones_own_is_an_entry_of_the_registry(monkeypatch):
    monkeypatch.setattr("unitok.api.task_kinds.KINDS", dict(KINDS))
    task_kind("songs", "to sing")(lambda turn: turn.written == ["song"])
    (task,) = find_tasks([(Segment("text", "sing", learn=False), Segment("song", "la"))])
    assert task.name == "songs" and "learned to sing" in unlearned((), "songs")
