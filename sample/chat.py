"""Talk with a model in the terminal: python sample/chat.py --model runs/demo/model"""

import argparse

from unitok.terminal import Parser, command


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        prog="chat.py", description="Type text, or /image PATH; the model answers with text and pictures."
    )
    parser.add_argument("--model", default="runs/demo/model", metavar="DIR", help="model folder")
    parser.add_argument("--out", default="chat", metavar="DIR", help="folder of the model's pictures")
    parser.add_argument("--seed", type=int, default=0, help="of the first answer; each answer adds one")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")
    return parser


@command("chat.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, then lines until /quit or the end of the input."""
    options = arguments().parse_args(args)
    from unitok import UniTok
    from unitok.chat import Chat

    model = UniTok.from_pretrained(options.model, device=options.device, dtype=options.dtype)
    Chat(model, out=options.out, seed=options.seed).run()


if __name__ == "__main__":
    main()
