"""The chat in a terminal: one growing document of text and images. Knows no weights."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

from PIL import Image
from rich.console import Console

from unitok.api.unitok import UniTok
from unitok.chat_template import Turn
from unitok.console import printable
from unitok.contact_sheet import write_png
from unitok.data.files.images import load_image
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box, Point, write_box, write_point

HELP = """Type text, then Enter; the model goes on with text or pictures as it likes.
/image PATH  show it a picture      /draw  have it draw now      /say  have it write now
/new  forget everything             /help  this text             /quit  leave"""
MOST = 8  # segments of one answer
FILE = re.compile(r"file:(//[^/]*)?(?=/)")


def typed_path(text: str) -> str:
    """The file that somebody typed, pasted or dragged into a terminal; the text itself where there is none.

    The text as it stands goes first, then it without quotes and backslashes, as a file:// address, with ~.
    """
    forms = (normalize(form, path) for path in _readings(text) for form in ("NFC", "NFD"))
    return next(filter(os.path.isfile, (text, *_readings(text), *forms)), text)


def _readings(text: str) -> Iterator[str]:
    """What a text may mean as a path."""
    plain = [text, text[1:-1] if text[:1] in ("'", '"') and text[-1:] == text[:1] else text]
    with suppress(ValueError):  # a quotation mark that is one of the name's letters
        plain.append(" ".join(shlex.split(text)))
    for path in dict.fromkeys(plain):
        yield unquote(FILE.sub("", path)) if FILE.match(path) else os.path.expanduser(path)


class Chat:
    """Reads lines, appends them to a document, and lets the model continue it.

    A line that fails leaves the document as it was. Once the model has ended the document, the next text or
    picture begins a new one, while /draw and /say still go on with it.

    Args:
        model: who answers.
        out: folder of the pictures that it draws.
        seed: of the first answer; each answer adds one.
        read: gives the next line; raises EOFError at the end.
        console: where answers are printed.
    """

    def __init__(
        self,
        model: UniTok,
        *,
        out: str | Path = "chat",
        seed: int = 0,
        read: Callable[[str], str] = input,
        console: Console | None = None,
    ):
        self.model, self.out, self.seed, self.read = model, Path(out), seed, read
        self.console = console or Console(highlight=False, emoji=False, soft_wrap=True)
        self.document: Document = ()
        self.ended = False
        self.pictures = 0

    def run(self) -> None:
        """Until /quit or the end of the input."""
        self._print(HELP)
        while True:
            try:
                line = self.read("> ").strip()
            except EOFError:
                return
            if line == "/quit":
                return
            try:
                self.obey(line)
            except (ValueError, OSError) as error:
                self._print(f"error: {error}", style="red")

    def obey(self, line: str) -> None:
        """Carry out one line. Raises ValueError or OSError where it cannot be."""
        word, _, rest = line.partition(" ")
        if word == "/image":
            if not rest.strip():
                raise ValueError("/image needs the path of a picture")
            self._show(Segment("image", load_image(typed_path(rest.strip()))))
        elif word in ("/draw", "/say"):
            document = self.model.chat.prompt(past=self.document)
            self.answer(document, target="image" if word == "/draw" else "text")
        elif word == "/new":
            self.document = ()
        elif word.startswith("/"):
            self._print(HELP)
        elif line:
            self._show(Segment("text", line))

    def _show(self, segment: Segment) -> None:
        before = () if self.ended else self.document
        document = self.model.chat.prompt([Turn("user", (segment,))], past=before)
        self.answer(document, target=None)

    def answer(self, document: Document, *, target: str | None) -> None:
        """Continue a document, and print and save what the model writes as it comes."""
        shown, written = 0, []
        for update in self.model.stream(document, target=target, seed=self.seed, max_segments=MOST):
            if update.modality == "text":
                self._print(update.content[shown:], end="\n" if update.done else "")
                shown = 0 if update.done else len(update.content)
            elif update.done:
                self._print(self._told(update.content))
            if update.done:
                written.append(Segment(update.modality, update.content))
        self.document = (*document, *written)
        self.ended = target is None and len(written) < MOST
        self.seed += 1
        if not written:
            self._print("(the model has nothing to add)")

    def _told(self, content: Image.Image | Box | Point) -> str:
        """A line for what is no text; a picture is saved."""
        if isinstance(content, Image.Image):
            return f"[picture: {self._save(content)}]"
        return write_box(content) if isinstance(content, Box) else write_point(content, "")

    def _save(self, image: Image.Image) -> Path:
        """Write a picture under the next free number."""
        while True:
            path = self.out / f"picture-{self.pictures:03d}.png"
            self.pictures += 1
            if not path.exists():
                write_png(path, image)
                return path

    def _print(self, text: str, **options: str) -> None:
        self.console.print(printable(text), markup=False, **options)
