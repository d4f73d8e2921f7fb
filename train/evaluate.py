"""Measure a model and show what it makes: python train/evaluate.py --model runs/demo/model --suite shapes"""

import argparse
from pathlib import Path

from unitok.terminal import Parser, Setting, command


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        prog="train/evaluate.py",
        description="Let a model reconstruct, caption and draw; write report.json and sheets of pictures, "
        "print the figures.",
    )
    add = parser.add_argument
    add("--model", default="runs/demo/model", metavar="DIR", help="model folder")
    add("--suite", choices=("shapes", "easy_vqa", "pairs"), default="shapes",
        help="shapes and easy_vqa have judges; pairs is any data set of captioned pictures")  # fmt: skip
    add(
        "--out",
        type=Path,
        default=Path("runs/evaluation"),
        metavar="DIR",
        help="folder of report and pictures",
    )
    add("--data.path", dest="path", metavar="PATH", help="data set, for easy_vqa and pairs")
    add("--split", default="val", help="of the data set: train, val or test")
    add("--where", action=Setting, metavar="NAME=VALUE",
        help="only samples whose metadata say so, such as subset=combo; may be repeated")  # fmt: skip
    add("--count", type=int, help="pictures measured; if absent 500 of shapes, all of a folder")
    add("--batch-size", type=int, default=128, help="pictures at once")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    add("--dtype", default="auto", help="auto, float32 or bfloat16")
    return parser


@command("train/evaluate.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write and print the report."""
    options = arguments().parse_args(args)
    from unitok import UniTok
    from unitok.evaluate.suites import run_suite

    model = UniTok.from_pretrained(options.model, device=options.device, dtype=options.dtype)
    report = run_suite(
        model,
        options.suite,
        path=options.path,
        split=options.split,
        where=options.where,
        count=options.count,
        batch_size=options.batch_size,
    )
    report.save(options.out)
    report.show(f"{options.out}/report.json")
    print("pictures: " + " ".join(f"{options.out}/{name}.png" for name in report.sheets))


if __name__ == "__main__":
    main()
