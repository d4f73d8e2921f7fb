"""From a folder of one's own to a model: unitok train DATA --minutes 20"""

import argparse
import sys
from pathlib import Path

from unitok.console import command


def arguments() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="unitok train",
        description="Look through a data set, propose settings, train an image tokenizer and a transformer "
        "on it, measure the model on held-out samples, and say what came of it. An interrupted run "
        "is resumed; the two YAML files in its folder are what it ran.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="a file or folder of any format in docs/your-data.md")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--minutes", type=float, default=20.0, help="of the whole run")
    time.add_argument("--hours", type=float, default=argparse.SUPPRESS, help="in place of --minutes")
    add("--size", type=int, metavar="PIXELS", help="side of the images; if absent it is proposed")
    add("--out", type=Path, metavar="DIR", help="output folder; if absent runs/NAME, with the name of DATA")
    add("--resume", action="store_true", help="refuse to start anew: --out must hold an interrupted run")
    add("--yes", action="store_true", help="do not ask before the training starts")
    return parser


@command("unitok train")
def main(args: list[str] | None = None) -> None:
    """Read the command line, train, print the report."""
    options = arguments().parse_args(args)
    minutes = 60 * options.hours if "hours" in options else options.minutes
    if minutes <= 0:
        raise ValueError(f"--minutes must be above 0, got {minutes:g}")
    out = options.out or Path("runs") / Path(options.data).name.split(".")[0]
    from unitok.cli.own_data import OwnData

    if options.resume and not out.is_dir():
        raise ValueError(f"nothing to resume in {out}: unitok train {options.data} --out {out}  starts anew")
    ask = not options.yes and sys.stdin.isatty()
    report = OwnData(options.data, out, minutes, size=options.size).run(ask=ask)
    if report is None:
        return
    verdict = report.figures.pop("verdict", "")
    report.show(f"{out}/report.json")
    for sentence in verdict.split(" · "):
        print(f"verdict:  {sentence}")
    sheets = (f"{out}/{name}.png" for name in ("samples", "captions", "reconstructions"))
    print("images:  ", *(sheet for sheet in sheets if Path(sheet).is_file()))
    if "caption_accuracy" in report.figures:
        print(f'try:      unitok draw --model {out}/model --prompt "…" --n 4')
    print(f"page:     unitok page --model {out}/model")
    print(f"go on:    {out}/tokenizer.yaml and {out}/transformer.yaml are what it ran; edit them, then")
    print(f"          unitok train-model fit --config {out}/transformer.yaml")
