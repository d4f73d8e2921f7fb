"""The Tokens tab: the codes of an image, their likelihood, and the reconstruction."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import gradio as gr
from jaxtyping import Int64
from PIL import Image
from torch import Tensor

from unitok.api.unitok import UniTok
from unitok.document import Codes, Segment
from unitok.generation.likelihood import log_probabilities
from unitok.page import examples
from unitok.page.example_buttons import choices
from unitok.page.model_view import as_seen, shown
from unitok.page.overlay import enlarged, with_grid, with_heat
from unitok.page.served_images import kept
from unitok.page.status import MODEL, alerted, status, told


@dataclass(frozen=True)
class Read:
    """A picture's codes as they were read, as they are now, and the cell that is looked at."""

    first: Int64[Tensor, "h w"]
    now: Int64[Tensor, "h w"]
    cell: tuple[int, int] = (0, 0)

    @property
    def changed(self) -> list[tuple[int, int]]:
        """(row, column) of the codes that are no longer what was read."""
        return [tuple(place) for place in (self.first != self.now).nonzero().tolist()]


@dataclass(frozen=True)
class Looks:
    """Shows codes; yields the grid, the reconstruction, the heat, what was read, and what is going on."""

    model: UniTok

    @told(4)
    def read(self, picture: str | Image.Image | None, words: str) -> Iterator[tuple]:
        """A picture's codes."""
        codes = self.model.encode_image(as_seen(self.model, picture))
        yield from self._shown(Read(codes, codes), words)

    @told(4)
    def change(
        self, read: Read | None, words: str, row: float, column: float, code: float
    ) -> Iterator[tuple]:
        """The same with another code in one place."""
        now = _read(read).now.clone()
        rows, columns = now.shape
        if not (1 <= row <= rows and 1 <= column <= columns):
            raise ValueError(
                f"The grid has {rows} rows and {columns} columns; there is no row {row:g}, column {column:g}."
            )
        cell = int(row) - 1, int(column) - 1
        ranges = self.model.codec.modalities["image"].cell_ranges
        legal = ranges[cell[1] % len(ranges)]
        if int(code) not in legal:
            raise ValueError(f"The codes of this place are {legal.start} to {legal.stop - 1}, not {code:g}.")
        now[cell] = int(code)
        yield from self._shown(replace(read, now=now, cell=cell), words)

    @told(4)
    def undo(self, read: Read | None, words: str) -> Iterator[tuple]:
        """The codes as they were read."""
        yield from self._shown(replace(read, now=_read(read).first), words)

    def _shown(self, read: Read, words: str) -> Iterator[tuple]:
        picture = self.model.decode_image(read.now)
        labels = [[str(code) for code in row] for row in read.now.tolist()]
        grid = with_grid(picture, labels, chosen=read.cell, changed=read.changed)
        nats = self._surprise(read.now, words)
        heat = with_heat(picture, nats.tolist())
        yield (
            kept(grid),
            kept(enlarged(picture)),
            kept(heat),
            read,
            (
                f"{read.now.numel()} codes, {len(read.now.unique())} different, {len(read.changed)} changed; "
                f"log p = {-float(nats.sum()):.1f} nats, {float(nats.mean()):.2f} nats a cell on average."
            ),
        )

    def _surprise(self, grid: Int64[Tensor, "h w"], words: str) -> Tensor:
        """-log p of each cell, in nats, after the words if there are some."""
        depth = len(self.model.codec.modalities["image"].cell_ranges)
        shape = grid.shape[0], grid.shape[1] // depth
        before = self.model.codec.encode((Segment("text", words.strip()),)) if words.strip() else []
        _, codes = log_probabilities(
            self.model.model, self.model.codec, [*before, Codes("image", grid.flatten(), shape)]
        )
        return -codes.view(*shape, depth).sum(dim=2).cpu()


def _read(read: Read | None) -> Read:
    if read is None:
        raise ValueError("Press Read the picture first.")
    return read


def pick(read: Read | None, grid: Image.Image, event: gr.SelectData) -> tuple[int, int, int]:
    """Row, column and code of the cell that was clicked."""
    now = _read(read).now
    (rows, columns), (x, y) = now.shape, event.index
    row, column = min(rows - 1, y * rows // grid.height), min(columns - 1, x * columns // grid.width)
    return row + 1, column + 1, int(now[row, column])


def tab(model: UniTok) -> None:
    """Add the tab to the page that is being built."""
    scenes, read = examples.pictures(model), gr.State()
    still = {
        "interactive": False,
        "format": "png",
        "height": 290,
        "show_label": False,
        "buttons": ["download"],
    }
    with gr.Row():
        with gr.Column(min_width=260):
            gr.Markdown("**Picture**")
            picture = gr.Image(scenes[0], label="Picture", show_label=False, type="filepath",
                               image_mode=None, sources=["upload", "clipboard"], format="png",
                               height=290)  # fmt: skip
            choices({f"Example {k}": kept(scene) for k, scene in enumerate(scenes, 1)}, picture)
        with gr.Column(min_width=260):
            gr.Markdown("**Its codes:** click one to change it")
            grid = gr.Image(label="Codes", type="pil", **still)
        with gr.Column(min_width=260):
            gr.Markdown("**What the codes come back as**")
            back = gr.Image(label="Reconstruction", **still)
        with gr.Column(min_width=260):
            gr.Markdown("**How surprising each is:** -log p, nats")
            heat = gr.Image(label="Surprise", **still)
    words = gr.Textbox(label="Words before the picture, for its likelihood (may stay empty)",
                       placeholder=examples.prompts(model)[0])  # fmt: skip
    said = status("Press Read the picture.")
    start = gr.Button("Read the picture", variant="primary")
    with gr.Row():
        place = [gr.Number(1, label=name, precision=0, minimum=1, min_width=80) for name in ("Row", "Column")]
        code = gr.Number(0, label="Code", precision=0, minimum=0, min_width=80)
    with gr.Row():
        change, undo = gr.Button("Change the code"), gr.Button("Undo all changes")
    work = Looks(model)
    outputs, hidden = [grid, back, heat, read, said], {"show_progress": "hidden", **MODEL}
    gr.on([start.click, words.submit], work.read, [picture, words], outputs, **hidden)
    gr.on([change.click, code.submit], work.change, [read, words, *place, code], outputs, **hidden)
    undo.click(work.undo, [read, words], outputs, **hidden)
    grid.select(pick, [read, grid], [*place, code], show_progress="hidden", api_visibility="private")
    picture.upload(alerted(shown, model), picture, picture, api_visibility="private")
