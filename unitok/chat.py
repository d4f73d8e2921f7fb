"""A conversation in the terminal: one growing document of text and pictures. Knows no weights."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from unitok.bundle import UniTok
from unitok.data.images import load_image
from unitok.document import Document, Segment

HELP = """Type text, then Enter; the model goes on with text or pictures as it likes.
/image PATH  show it a picture      /draw  have it draw now      /say  have it write now
/new  forget everything             /help  this text             /quit  leave"""


class Chat:
    """Reads lines, appends them to a document, and lets the model continue it.

    Args:
        model: who answers.
        out: folder of the pictures that it draws.
        seed: of the first answer; each answer adds one.
        read: gives the next line; raises EOFError at the end.
    """

    def __init__(
        self, model: UniTok, *, out: str | Path = "chat", seed: int = 0, read: Callable[[str], str] = input
    ):
        self.model, self.out, self.seed, self.read = model, Path(out), seed, read
        self.document: Document = ()
        self.console = Console(highlight=False)
        self.pictures = 0

    def run(self) -> None:
        """Until /quit or the end of the input."""
        self.console.print(HELP, markup=False)
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
                self.console.print(f"error: {error}", style="red", markup=False)

    def obey(self, line: str) -> None:
        """Carry out one line."""
        word, _, rest = line.partition(" ")
        if word == "/image":
            self.document += (Segment("image", load_image(rest.strip())),)
            self.answer(None)
        elif word in ("/draw", "/say"):
            self.answer("image" if word == "/draw" else "text")
        elif word == "/new":
            self.document = ()
        elif word.startswith("/"):
            self.console.print(HELP, markup=False)
        elif line:
            self.document += (Segment("text", line),)
            self.answer(None)

    def answer(self, target: str | None) -> None:
        """Print and save what the model writes next."""
        shown, answered = 0, False
        for update in self.model.stream(self.document, target=target, seed=self.seed):
            answered = True
            if update.modality == "text":
                self.console.print(update.content[shown:], end="\n" if update.done else "", markup=False)
                shown = 0 if update.done else len(update.content)
            elif update.done:
                self.console.print(f"[picture: {self._save(update.content)}]", markup=False)
            if update.done:
                self.document += (Segment(update.modality, update.content),)
        self.seed += 1
        if not answered:
            self.console.print("(the model has nothing to add; /new starts over)", markup=False)

    def _save(self, image) -> Path:
        self.out.mkdir(parents=True, exist_ok=True)
        while True:
            path = self.out / f"picture-{self.pictures:03d}.png"
            self.pictures += 1
            if not path.exists():
                image.save(path)
                return path
