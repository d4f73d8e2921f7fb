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

from unitok.api.contact_sheet import write_png
from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.chat_template import Turn
from unitok.console import printable
from unitok.data.files.images import load_image
from unitok.document import Document, Segment

HELP = """Type text, then Enter; the model continues with text or images.
/image PATH  show it an image       /draw  make it draw          /say  make it write
/new  start a new document          /help  this text             /quit  leave"""
MAX_SEGMENTS = 8  # of one answer
FILE_URL = re.compile(r"file:(//[^/]*)?(?=/)")


def typed_path(text: str) -> str:
    """The file typed, pasted or dragged into a terminal; the text itself if no such file exists.

    The text is tried first as it is, then without quotes and backslashes, as a file:// URL, and with ~.
    """
    forms = (normalize(form, path) for path in _candidate_paths(text) for form in ("NFC", "NFD"))
    return next(filter(os.path.isfile, (text, *_candidate_paths(text), *forms)), text)


def _candidate_paths(text: str) -> Iterator[str]:
    """Paths that a text may mean."""
    paths = [text, text[1:-1] if text[:1] in ("'", '"') and text[-1:] == text[:1] else text]
    with suppress(ValueError):  # a quotation mark that is part of the name
        paths.append(" ".join(shlex.split(text)))
    for path in dict.fromkeys(paths):
        yield unquote(FILE_URL.sub("", path)) if FILE_URL.match(path) else os.path.expanduser(path)


class Chat:
    """Reads lines, appends them to a document, and lets the model continue it.

    A line that fails leaves the document unchanged. Once the model has ended the document, the next text or
    image starts a new one, while /draw and /say still continue it.

    Args:
        model: generates the answers.
        out: folder of the generated images.
        seed: of the first answer; each answer adds one.
        read: returns the next line; raises EOFError at the end.
        console: prints the answers.
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
        self.next_image = 0

    def run(self) -> None:
        """Read and execute lines until /quit or the end of the input."""
        self._print(HELP)
        while True:
            try:
                line = self.read("> ").strip()
            except EOFError:
                return
            if line == "/quit":
                return
            try:
                self.execute(line)
            except (ValueError, OSError) as error:
                self._print(f"error: {error}", style="red")

    def execute(self, line: str) -> None:
        """Execute one line. Raises ValueError or OSError if that fails."""
        command, _, argument = line.partition(" ")
        if command == "/image":
            if not argument.strip():
                raise ValueError("/image needs the path of an image")
            self._add(Segment("image", load_image(typed_path(argument.strip()))))
        elif command in ("/draw", "/say"):
            document = self.model.chat.prompt(past=self.document)
            self.answer(document, target="image" if command == "/draw" else "text")
        elif command == "/new":
            self.document = ()
        elif command.startswith("/"):
            self._print(HELP)
        elif line:
            self._add(Segment("text", line))

    def _add(self, segment: Segment) -> None:
        """Append the user's segment and answer it."""
        past = () if self.ended else self.document
        document = self.model.chat.prompt([Turn("user", (segment,))], past=past)
        self.answer(document, target=None)

    def answer(self, document: Document, *, target: str | None) -> None:
        """Continue a document; print text as it is generated, and save images."""
        printed, answer = 0, []
        for update in self.model.stream(document, target=target, seed=self.seed, max_segments=MAX_SEGMENTS):
            if update.modality == "text":
                self._print(update.content[printed:], end="\n" if update.done else "")
                printed = 0 if update.done else len(update.content)
            elif update.done:
                self._print(self._describe(update))
            if update.done:
                answer.append(Segment(update.modality, update.content))
        self.document = (*document, *answer)
        self.ended = target is None and len(answer) < MAX_SEGMENTS
        self.seed += 1
        if not answer:
            self._print("(the model has nothing to add)")

    def _describe(self, update: Update) -> str:
        """Content other than text as a line; an image is saved."""
        if isinstance(update.content, Image.Image):
            return f"[image: {self._save(update.content)}]"
        return self.model.codec.as_text(update.modality, update.content)

    def _save(self, image: Image.Image) -> Path:
        """Save an image under the next free number."""
        while True:
            path = self.out / f"picture-{self.next_image:03d}.png"
            self.next_image += 1
            if not path.exists():
                write_png(path, image)
                return path

    def _print(self, text: str, **options: str) -> None:
        self.console.print(printable(text), markup=False, **options)
