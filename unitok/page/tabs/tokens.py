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
from unitok.page.image_input import add_image_input, on_upload
from unitok.page.model_view import enlarged_view, model_view
from unitok.page.overlay import draw_grid, draw_heat_map, enlarge
from unitok.page.runs import Runs
from unitok.page.served_images import serve_image
from unitok.page.status import add_status, report_errors
from unitok.page.tab import Site, Source, Tab, Taker, add_send_buttons

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
    """Event handlers of the tab; all yield what shows the grid, the grid, and the status.

    What shows it: code image, reconstruction, heat map, and the selected cell's row, column and code.
    """

    model: UniTok

    @report_errors(7)
    def encode(self, image: str | Image.Image | None, text: str) -> Iterator[tuple]:
        """Encode an image."""
        codes = self.model.encode_image(model_view(self.model, image))
        yield from self._show(TokenGrid(codes, codes), text)

    @report_errors(7)
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

    @report_errors(7)
    def undo(self, grid: TokenGrid | None, text: str) -> Iterator[tuple]:
        """Restore the original codes."""
        yield from self._show(replace(grid, current=_require(grid).original), text)

    def mark(self, grid: TokenGrid | None, row: float | None, column: float | None) -> tuple:
        """Mark the cell at a row and column: the code image, the grid, and the cell's code; skips if there is
        no such cell."""
        rows, columns = (0, 0) if grid is None else grid.current.shape
        if not (1 <= (row or 0) <= rows and 1 <= (column or 0) <= columns):
            return gr.skip(), gr.skip(), gr.skip()
        grid = replace(grid, cell=(int(row) - 1, int(column) - 1))
        image = self._code_image(grid, self.model.decode_image(grid.current))
        return serve_image(image), grid, int(grid.current[grid.cell])

    def select(self, grid: TokenGrid | None, path: str, event: gr.SelectData) -> tuple:
        """Mark the clicked cell: its row and column, and what `mark` gives."""
        rows, columns = _require(grid).current.shape
        with Image.open(path) as image:
            width, height = image.size
        x, y = event.index
        row, column = min(rows - 1, y * rows // height) + 1, min(columns - 1, x * columns // width) + 1
        return row, column, *self.mark(grid, row, column)

    def _code_image(self, grid: TokenGrid, image: Image.Image) -> Image.Image:
        labels = [[str(code) for code in row] for row in grid.current.tolist()]
        return draw_grid(image, labels, chosen=grid.cell, changed=grid.changed)

    def _show(self, grid: TokenGrid, text: str) -> Iterator[tuple]:
        codes = grid.current
        image = self.model.decode_image(codes)
        code_image = self._code_image(grid, image)
        nats = self._surprise(codes, text)
        heat_map = draw_heat_map(image, nats.tolist())
        yield (
            serve_image(code_image),
            serve_image(enlarge(image)),
            serve_image(heat_map),
            *(place + 1 for place in grid.cell),
            int(codes[grid.cell]),
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


def add_tab(site: Site) -> Tab:
    """Add the tab to the page."""
    model, grid, runs = site.model, gr.State(), Runs(site.queue)
    output = {"interactive": False, "format": "png", "height": 290, "show_label": False, "buttons": []}
    with gr.Row():
        with gr.Column(min_width=260):
            gr.Markdown("**Picture**")
            image = add_image_input(model, height=290, show_label=False)
            text = gr.Textbox("", label="Text before the picture, for its likelihood (optional)",
                              placeholder=examples.prompts(model)[0])  # fmt: skip
            encode = gr.Button("Encode the picture", variant="primary")
        with gr.Column(min_width=260):
            gr.Markdown("**Codes:** click one to change it")
            code_image = gr.Image(elem_id="codes-image", type="filepath", **output)
            with gr.Row(elem_classes="cell-fields"):
                place = [
                    gr.Number(1, label=name, precision=0, minimum=1, min_width=60)
                    for name in ("Row", "Column")
                ]
                code = gr.Number(0, label="Code", precision=0, minimum=0, min_width=60)
            with gr.Row():
                change = gr.Button("Change the code", min_width=120)
                undo = gr.Button("Undo all changes", min_width=120)
            status = add_status("Press Encode the picture.")
        with gr.Column(min_width=260):
            gr.Markdown("**Reconstruction** from the codes")
            reconstruction = gr.Image(elem_id="reconstruction-image", type="filepath", **output)
            buttons = add_send_buttons(site)
        with gr.Column(min_width=260):
            gr.Markdown("**Surprise** of each cell: -log p in nats")
            heat_map = gr.Image(elem_id="surprise-image", **output)
    handlers = Tokens(model)
    answers = [code_image, reconstruction, heat_map, grid]
    outputs = [*answers[:-1], *place, code, grid, status]
    encoded = runs.add([encode.click, text.submit], handlers.encode, [image, text], outputs)
    runs.add([change.click, code.submit], handlers.change, [grid, text, *place, code], outputs)
    runs.add([undo.click], handlers.undo, [grid, text], outputs)
    quietly = {"show_progress": "hidden", "api_visibility": "private"}
    marked = [code_image, grid, code]
    code_image.select(handlers.select, [grid, code_image], [*place, *marked], **quietly)
    for field in place:
        field.input(handlers.mark, [grid, *place], marked, **quietly)
    show = lambda path: (serve_image(enlarged_view(model, path)),)  # noqa: E731
    on_upload(image, show, [image], status=status, answers=answers)
    return Tab(
        status,
        Source(reconstruction, lambda path: path, buttons),
        Taker([image, *answers], lambda path: (*show(path), *[None] * len(answers))),
        settings={"text": text},
        runs=[encoded],
    )
