"""Scripted chats: texts, images, drawings, errors and saved files."""

import io
import re
import shlex
from unicodedata import normalize
from urllib.parse import quote

import pytest
from PIL import Image
from rich.console import Console

from tests.tiny_codecs import tiny_codec
from tests.tiny_model import BRIEF, tiny_model
from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate
from unitok.cli.terminal_chat import Chat
from unitok.document import Segment
from unitok.modalities.geometry import Box, Point
from unitok.modalities.location_bins import BoxModality, PointModality

PICTURE = Image.new("RGB", (12, 8), "red")


class Scripted(UniTok):
    """A model whose answers are known: one list of segments an answer."""

    def __init__(self, *answers):
        self.answers, self.calls, self.chat = list(answers), [], ChatTemplate()
        self.codec = tiny_codec(more=(BoxModality(), PointModality()))

    def stream(self, document, *, target, seed, max_segments):
        self.calls.append((document, target, seed))
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        for content in answer:
            if isinstance(content, str):
                for end in range(1, len(content)):
                    yield Update("text", content[:end], done=False)
                yield Update("text", content, done=True)
            elif isinstance(content, Box | Point):
                yield Update(type(content).__name__.lower(), content, done=True)
            else:
                yield Update("image", content, done=False)
                yield Update("image", content, done=True)


def talk(model, lines, folder):
    """Everything printed in a conversation, and the chat."""
    lines, printed = iter(lines), io.StringIO()

    def read(prompt):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    console = Console(file=printed, highlight=False, emoji=False, soft_wrap=True)
    chat = Chat(model, out=folder, read=read, console=console)
    chat.run()
    return printed.getvalue(), chat


def test_boxes_and_points_are_told_in_words(tmp_path):
    places = [Box(0.1, 0.2, 0.3, 0.4), Point(0.5, 0.25)]
    said, chat = talk(Scripted(["there:", *places]), ["where is it?"], tmp_path)
    assert said.endswith('there:\n<box>(100,200),(300,400)</box>\n<point x="50.0" y="25.0" alt="">\n')
    assert chat.document[2:] == (Segment("box", places[0]), Segment("point", places[1]))


def test_text_is_answered_as_it_comes_and_once(tmp_path):
    said, chat = talk(Scripted(["a red circle"]), ["what is it?"], tmp_path)
    assert said.endswith("quit  leave\na red circle\n")
    assert chat.document == (Segment("text", "what is it?"), Segment("text", "a red circle"))
    assert not list(tmp_path.iterdir())


def test_pictures_are_saved_and_never_overwritten(tmp_path):
    (tmp_path / "picture-001.png").write_text("mine")
    model = Scripted([PICTURE], [PICTURE, "there", PICTURE])
    said, _ = talk(model, ["draw one", "draw two", "/quit", "never read"], tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"picture-00{i}.png" for i in range(4)]
    assert (tmp_path / "picture-001.png").read_text() == "mine"
    assert [f"[image: {tmp_path / name}]" in said for name in names] == [True, False, True, True]
    assert len(model.calls) == 2


def test_a_second_conversation_in_the_same_folder_goes_on_counting(tmp_path):
    for _ in range(2):
        talk(Scripted([PICTURE]), ["draw"], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_document_that_the_model_ended_is_followed_by_a_new_one(tmp_path):
    model = Scripted(["one"], ["two"], [PICTURE])
    talk(model, ["first", "second", "/draw"], tmp_path)
    documents = [[s.content for s in document] for document, _, _ in model.calls]
    assert documents == [["first"], ["second"], ["second", "two"]]


def test_an_answer_that_was_asked_for_does_not_end_the_document(tmp_path):
    model = Scripted(["a"], ["b"])
    talk(model, ["/say", "go on"], tmp_path)
    assert [s.content for s in model.calls[1][0]] == ["a", "go on"]


def test_commands_choose_the_target_and_each_answer_has_its_seed(tmp_path):
    model = Scripted([PICTURE], ["words"], [], [])
    said, _ = talk(model, ["/draw", "/say", "/new", "hello"], tmp_path)
    assert [(target, seed) for _, target, seed in model.calls] == [("image", 0), ("text", 1), (None, 2)]
    assert model.calls[2][0] == (Segment("text", "hello"),)
    assert "(the model has nothing to add)" in said


def test_a_picture_is_shown_to_the_model(tmp_path):
    PICTURE.save(tmp_path / "my picture.png")
    model = Scripted(["red"])
    said, _ = talk(model, [f"/image {tmp_path}/my picture.png"], tmp_path / "out")
    (segment,) = model.calls[0][0]
    assert segment.modality == "image" and segment.content.size == (12, 8) and said.endswith("red\n")


NAMES = ["my pics/my photo.png", "it's.png", 'a "b".png', "é#1%20?.png", "a;b&(c)$d.png", "a\\b.png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_found_however_its_path_is_given(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    PICTURE.save(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    typed = [
        str(path),
        name,
        shlex.quote(str(path)),
        f'"{path}"',
        f"'{path}'",
        path.as_uri(),
        f"'{path.as_uri()}'",
    ]
    typed += [
        re.sub(r"([^\w/.])", r"\\\1", str(path)),
        f"~/{name}",
        f'"~/{name}"',
        f"file://localhost{quote(str(path))}",
    ]
    typed += [normalize(form, str(path)) for form in ("NFC", "NFD")]
    said, chat = talk(
        Scripted(*[["red"]] * len(typed)), [f"/image {one} " for one in typed], tmp_path / "out"
    )
    assert "error" not in said and len(chat.model.calls) == len(typed)


def test_a_path_as_it_stands_goes_before_what_it_may_mean(tmp_path):
    for name, colour in (("'a'.png", "red"), ("a.png", "blue"), ("b\\ c.png", "red"), ("b c.png", "blue")):
        Image.new("RGB", (12, 8), colour).save(tmp_path / name)
    model = Scripted(["x"], ["x"])
    talk(model, [f"/image {tmp_path}/'a'.png", f"/image {tmp_path}/b\\ c.png"], tmp_path / "out")
    assert [document[-1].content.getpixel((0, 0)) for document, _, _ in model.calls] == [(255, 0, 0)] * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('/image "no/where.png"', 'error: "no/where.png": No such file or directory'),
        ("/image ~nobody/a.png", "error: ~nobody/a.png: No such file or directory"),
        ("/image 'a", "error: 'a: No such file or directory"),
        ("/image FOLDER", ": it is a folder"),
        ("/image file://[", "error: file://[: No such file"),
        ("/image no/where.png", "error: no/where.png: No such file or directory"),
        ("/image", "error: /image needs the path of an image"),
        ("/image FOLDER/text.png", "text.png: not an image of a known format"),
    ],
)
def test_a_bad_picture_is_told_and_the_conversation_goes_on(tmp_path, line, message):
    (tmp_path / "text.png").write_text("no picture")
    model = Scripted(["still here"])
    said, _ = talk(model, [line.replace("FOLDER", str(tmp_path)), "hello?"], tmp_path / "out")
    assert message in said and said.endswith("still here\n") and len(model.calls) == 1


def test_a_line_that_fails_leaves_the_document_as_it_was(tmp_path):
    model = Scripted(ValueError("the prompt is too long"), ["fine"])
    said, chat = talk(model, ["far too long", "short"], tmp_path)
    assert "error: the prompt is too long" in said
    assert [s.content for s in chat.document] == ["short", "fine"]


def test_other_commands_show_the_help_and_empty_lines_nothing(tmp_path):
    said, _ = talk(Scripted(), ["/hepl", "", "   "], tmp_path)
    assert said.count("/quit  leave") == 2


def test_neither_markup_nor_control_characters_of_an_answer_are_obeyed(tmp_path):
    said, _ = talk(Scripted(["[red]a[/red] :smile: \x1b[2J"]), ["x"], tmp_path)
    assert said.endswith("[red]a[/red] :smile: \ufffd[2J\n")


def test_an_untrained_model_talks_and_draws(tmp_path):
    said, chat = talk(tiny_model(sampling=BRIEF), ["/draw", "/say", "x" * 500], tmp_path)
    assert (tmp_path / "picture-000.png").is_file() and "too long" in said
    assert {"image", "text"} <= {segment.modality for segment in chat.document}
