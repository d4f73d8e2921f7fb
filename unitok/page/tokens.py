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
from unitok.page.example_buttons import add_example_buttons
from unitok.page.model_view import enlarged_view, model_view
from unitok.page.overlay import draw_grid, draw_heat_map, enlarge
from unitok.page.served_images import serve_image
from unitok.page.status import RUNS_MODEL, add_status, alert_errors, report_errors

TASKS = ()
"""Every model has codes."""


@dataclass(frozen=True)
class TokenGrid:
    """An image's codes as they were encoded, as they are now, and the selected cell."""

    original: Int64[Tensor, "h w"]
    current: Int64[Tensor, "h w"]
    cell: tuple[int, int] = (0, 0)

    @property
    def changed(self) -> list[tuple[int, int]]:
        """(row, column) of the codes that differ from the original ones."""
        return [tuple(place) for place in (self.original != self.current).nonzero().tolist()]


@dataclass(frozen=True)
class Tokens:
    """Event handlers of the tab; all yield code image, reconstruction, heat map, grid and status."""

    model: UniTok

    @report_errors(4)
    def encode(self, image: str | Image.Image | None, text: str) -> Iterator[tuple]:
        """Encode an image."""
        codes = self.model.encode_image(model_view(self.model, image))
        yield from self._show(TokenGrid(codes, codes), text)

    @report_errors(4)
    def change(
        self, grid: TokenGrid | None, text: str, row: float, column: float, code: float
    ) -> Iterator[tuple]:
        """Change the code at a place."""
        codes = _require(grid).current.clone()
        rows, columns = codes.shape
        if not (1 <= row <= rows and 1 <= column <= columns):
            raise ValueError(
                f"The grid has {rows} rows and {columns} columns; there is no row {row:g}, column {column:g}."
            )
        cell = int(row) - 1, int(column) - 1
        ranges = self.model.codec.image.cell_ranges
        legal = ranges[cell[1] % len(ranges)]
        if int(code) not in legal:
            raise ValueError(f"The code must be in {legal.start}..{legal.stop - 1} here, got {code:g}.")
        codes[cell] = int(code)
        yield from self._show(replace(grid, current=codes, cell=cell), text)

    @report_errors(4)
    def undo(self, grid: TokenGrid | None, text: str) -> Iterator[tuple]:
        """Restore the original codes."""
        yield from self._show(replace(grid, current=_require(grid).original), text)

    def _show(self, grid: TokenGrid, text: str) -> Iterator[tuple]:
        codes = grid.current
        image = self.model.decode_image(codes)
        labels = [[str(code) for code in row] for row in codes.tolist()]
        code_image = draw_grid(image, labels, chosen=grid.cell, changed=grid.changed)
        nats = self._surprise(codes, text)
        heat_map = draw_heat_map(image, nats.tolist())
        yield (
            serve_image(code_image),
            serve_image(enlarge(image)),
            serve_image(heat_map),
            grid,
            (
                f"{codes.numel()} codes, {len(codes.unique())} different, {len(grid.changed)} changed; "
                f"log p = {-float(nats.sum()):.1f} nats, {float(nats.mean()):.2f} nats a cell on average."
            ),
        )

    def _surprise(self, codes: Int64[Tensor, "h w"], text: str) -> Tensor:
        """Compute -log p of each cell, in nats, after the text if there is some."""
        depth = len(self.model.codec.image.cell_ranges)
        shape = codes.shape[0], codes.shape[1] // depth
        before = self.model.codec.encode((Segment("text", text.strip()),)) if text.strip() else []
        _, values = log_probabilities(
            self.model.model, self.model.codec, [*before, Codes("image", codes.flatten(), shape)]
        )
        return -values.view(*shape, depth).sum(dim=2).cpu()


def _require(grid: TokenGrid | None) -> TokenGrid:
    if grid is None:
        raise ValueError("Press Encode the picture first.")
    return grid


def select(grid: TokenGrid | None, image: Image.Image, event: gr.SelectData) -> tuple[int, int, int]:
    """Row, column and code of the clicked cell."""
    codes = _require(grid).current
    (rows, columns), (x, y) = codes.shape, event.index
    row, column = min(rows - 1, y * rows // image.height), min(columns - 1, x * columns // image.width)
    return row + 1, column + 1, int(codes[row, column])


def add_tab(model: UniTok) -> None:
    """Add the tab to the page."""
    scenes, grid = examples.scenes(model), gr.State()
    output = {
        "interactive": False,
        "format": "png",
        "height": 290,
        "show_label": False,
        "buttons": ["download"],
    }
    with gr.Row():
        with gr.Column(min_width=260):
            gr.Markdown("**Picture**")
            image = gr.Image(scenes[0], label="Picture", show_label=False, type="filepath",
                             image_mode=None, sources=["upload", "clipboard"], format="png",
                             height=290)  # fmt: skip
            add_example_buttons(
                {f"Example {k}": serve_image(scene) for k, scene in enumerate(scenes, 1)}, image
            )
        with gr.Column(min_width=260):
            gr.Markdown("**Codes:** click one to change it")
            code_image = gr.Image(label="Codes", type="pil", **output)
        with gr.Column(min_width=260):
            gr.Markdown("**Reconstruction** from the codes")
            reconstruction = gr.Image(label="Reconstruction", **output)
        with gr.Column(min_width=260):
            gr.Markdown("**Surprise** of each cell: -log p in nats")
            heat_map = gr.Image(label="Surprise", **output)
    text = gr.Textbox(label="Text before the picture, for its likelihood (optional)",
                      placeholder=examples.prompts(model)[0])  # fmt: skip
    status = add_status("Press Encode the picture.")
    encode = gr.Button("Encode the picture", variant="primary")
    with gr.Row():
        place = [gr.Number(1, label=name, precision=0, minimum=1, min_width=80) for name in ("Row", "Column")]
        code = gr.Number(0, label="Code", precision=0, minimum=0, min_width=80)
    with gr.Row():
        change, undo = gr.Button("Change the code"), gr.Button("Undo all changes")
    handlers = Tokens(model)
    outputs = [code_image, reconstruction, heat_map, grid, status]
    hidden = {"show_progress": "hidden", **RUNS_MODEL}
    gr.on([encode.click, text.submit], handlers.encode, [image, text], outputs, **hidden)
    gr.on([change.click, code.submit], handlers.change, [grid, text, *place, code], outputs, **hidden)
    undo.click(handlers.undo, [grid, text], outputs, **hidden)
    code_image.select(
        select, [grid, code_image], [*place, code], show_progress="hidden", api_visibility="private"
    )
    image.upload(alert_errors(enlarged_view, model), image, image, api_visibility="private")
