"""Try a model in the browser: unitok page --model runs/demo/model"""

from importlib.util import find_spec
from pathlib import Path

from unitok.console import Parser, command, run_options


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok page", description="Serve a page on 127.0.0.1: draw, describe, chat, edit, tokens."
    )
    parser.add_model()
    parser.add_argument("--port", type=int, default=7860, help="port of the page; 0 takes a free one")
    parser.add_argument("--browser", action="store_true", help="also open it in the default browser")
    return parser


@command("unitok page")
def main(args: list[str] | None = None) -> None:
    """Serve the page until Ctrl-C."""
    options = arguments().parse_args(args)
    if find_spec("gradio") is None:
        raise ValueError("gradio: not found; the page needs Gradio 6, as by pip install 'gradio>=6,<7'")
    from unitok import UniTok

    model = UniTok.from_pretrained(options.model, **run_options(options))
    from unitok.page.app import serve

    name = Path(options.model).resolve().name if Path(options.model).exists() else options.model
    serve(model, name=name, examples=True, port=options.port, browser=options.browser)
