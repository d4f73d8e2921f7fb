"""From nothing to pictures and captions: unitok demo (or: make demo)"""

import argparse
from pathlib import Path

from unitok.console import command


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="unitok demo",
        description="Train both parts on rendered scenes and show what the model learned.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--configs",
        type=Path,
        nargs="+",
        default=[Path("configs/demo")],
        metavar="DIR",
        help="folders of tokenizer.yaml, encode.yaml, transformer.yaml; a later one overrides",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="where all of it goes"
    )
    parser.add_argument("--canvas", type=int, default=48, help="pixels a side of a scene")
    parser.add_argument("--scenes", type=int, default=500, help="scenes judged of each kind")
    return parser


@command("unitok demo")
def main(args: list[str] | None = None) -> None:
    """Read the command line, train what is missing, print the report."""
    options = arguments().parse_args(args)
    from unitok.cli.demo import Demo

    report = Demo(options.configs, options.out, canvas=options.canvas, scenes=options.scenes).run()
    report.show(f"{options.out}/report.json")
    out = options.out
    print(f"pictures: {out}/samples.png {out}/captions.png {out}/reconstructions.png")
    print(f'try:      unitok draw --model {out}/model --prompt "a large red star" --n 4')
    print(f"          unitok chat --model {out}/model")
    print(f"page:     make page MODEL={out}/model  (draw, describe, chat and edit in the browser)")
