"""The console command `unitok`: runs the command named by its first word. Imports nothing heavy."""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

from unitok.console import plain_errors


class Command(NamedTuple):
    """A command: its help, the module whose `main` runs it, and words put before its arguments."""

    help: str
    module: str
    first: tuple[str, ...] = ()


COMMANDS = {
    "train": Command("train both models on a folder of your own and report", "commands.train"),
    "demo": Command("train both models on rendered scenes and report", "commands.demo"),
    "configs": Command("list the packaged configs, or copy them into a folder", "packaged_configs"),
    "check": Command("read a data set once and report its content and faults", "commands.encode", ("check",)),
    "train-tokenizer": Command("train, validate or test an image tokenizer", "commands.train_tokenizer"),
    "encode": Command("encode a data set once into a store of codes", "commands.encode"),
    "train-model": Command("train, validate or test a transformer", "commands.train_model"),
    "evaluate": Command("measure a model: captions, drawings, answers, benchmarks", "commands.evaluate"),
    "info": Command("print the sizes, ids and figures of a model folder", "model_info"),
    "draw": Command("draw images from prompts", "commands.draw"),
    "caption": Command("caption images, or answer questions about them", "commands.caption"),
    "chat": Command("chat with a model in the terminal", "commands.chat"),
    "edit": Command("edit an image: inpaint, vary, or follow an instruction", "commands.edit"),
    "rank": Command("rank texts for images, or images for texts", "commands.rank"),
    "page": Command("serve the web page of a model", "commands.page"),
    "serve": Command("serve a model with an OpenAI-compatible API", "commands.serve"),
    "convert": Command("convert another project's image tokenizer", "commands.convert"),
    "export": Command("export a model for transformers and vLLM", "commands.export"),
    "env": Command("print versions, hardware and precision, for bug reports", "environment"),
}
"""In the order in which a new user meets them."""


def overview() -> str:
    """The help: every command in one line."""
    width = max(map(len, COMMANDS)) + 2
    lines = "\n".join(f"  {name:<{width}}{command.help}" for name, command in COMMANDS.items())
    return (
        "usage: unitok COMMAND [OPTIONS]\n\n"
        "Train and use one transformer that reads and writes text and images.\n\n"
        f"{lines}\n\n"
        "unitok COMMAND --help lists the options of a command; unitok --version prints the version."
    )


def main(args: list[str] | None = None) -> int | None:
    """Run a command line (by default the process's)."""
    name, *rest = (sys.argv[1:] if args is None else args) or ["--help"]
    with plain_errors("unitok"):
        return _run(name, rest)


def _run(name: str, rest: list[str]) -> int | None:
    if name in ("-h", "--help"):
        print(overview())
    elif name == "--version":
        from importlib.metadata import version

        print(f"unitok {version('unitok-lm')}")
    elif name in COMMANDS:
        command = COMMANDS[name]
        import_module(f"unitok.cli.{command.module}").main([*command.first, *rest])
    else:
        close = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else "unitok --help lists the commands"
        print(f"unitok: error: unknown command {name!r}; {hint}", file=sys.stderr)
        return 2
    return None


if __name__ == "__main__":
    sys.exit(main())
