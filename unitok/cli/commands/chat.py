"""Chat with a model in the terminal: unitok chat --model runs/demo/model"""

from unitok.console import Parser, command, run_options, warn


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok chat", description="Type text, or /image PATH; the model answers with text and images."
    )
    parser.add_model()
    parser.add_argument("--out", default="chat", metavar="DIR", help="folder for the model's images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first answer; each answer adds one")
    return parser


@command("unitok chat")
def main(args: list[str] | None = None) -> None:
    """Chat until /quit or the end of the input."""
    options = arguments().parse_args(args)
    from unitok import UniTok
    from unitok.cli.terminal_chat import Chat

    model = UniTok.from_pretrained(options.model, **run_options(options))
    warn(model.unlearned("chat"))
    Chat(model, out=options.out, seed=options.seed).run()
