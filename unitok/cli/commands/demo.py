"""From scratch to drawings and captions: unitok demo (or: make demo)"""

import argparse
from pathlib import Path

from unitok.cli.packaged_configs import locate
from unitok.console import command


def arguments() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="unitok demo",
        description="Train an image tokenizer and a transformer on rendered scenes, and show the results.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--configs",
        nargs="+",
        default=["configs/demo"],
        metavar="DIR",
        help="folders of tokenizer.yaml, encode.yaml, transformer.yaml; a later one overrides; packaged ones "
        "are used where a folder configs/… is missing",
    )
    add("--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="output folder")
    add("--canvas", type=int, default=48, help="side of a scene in pixels")
    add("--scenes", type=int, default=500, help="scenes in each judged set")
    add("--dtype", choices=("float32", "float16"), default="float32", help="of the model's stored weights")
    return parser


@command("unitok demo")
def main(args: list[str] | None = None) -> None:
    """Read the command line, run the missing stages, print the report."""
    options = arguments().parse_args(args)
    from unitok.cli.demo import Demo

    configs = [Path(locate(path)) for path in options.configs]
    settings = {name: getattr(options, name) for name in ("canvas", "scenes", "dtype")}
    report = Demo(configs, options.out, **settings).run()
    report.show(f"{options.out}/report.json")
    out = options.out
    print(f"images:   {out}/samples.png {out}/captions.png {out}/reconstructions.png")
    print(f'try:      unitok draw --model {out}/model --prompt "a large red star" --n 4')
    print(f"          unitok chat --model {out}/model")
    print(f"page:     unitok page --model {out}/model  (draw, describe, chat and edit in the browser)")
