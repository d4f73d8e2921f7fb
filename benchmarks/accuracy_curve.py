"""Plots accuracy against minutes of training, from a run's accuracy.jsonl.

python benchmarks/accuracy_curve.py runs/demo-hour/transformer --out docs/demo-hour.png
"""

import argparse
import json
from pathlib import Path

from unitok.console import command

LABELS = {
    "caption_accuracy": ("captions", "tab:blue", "-"),
    "image_accuracy": ("drawings", "tab:orange", "-"),
    "heldout_caption_accuracy": ("captions, held out", "tab:blue", "--"),
    "heldout_image_accuracy": ("drawings, held out", "tab:orange", "--"),
}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Plot the accuracy logged by the callback ShapesAccuracy.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="run folder with accuracy.jsonl")
    parser.add_argument("--out", type=Path, default=Path("docs/demo-hour.png"), help="PNG to write")
    return parser


@command("accuracy_curve.py")
def main(args: list[str] | None = None) -> None:
    """Read the figures, write the plot, print the table."""
    options = arguments().parse_args(args)
    lines = (options.run / "accuracy.jsonl").read_text(encoding="utf-8").splitlines()
    points = [json.loads(line) for line in lines]
    if not points:
        raise ValueError(f"{options.run}/accuracy.jsonl is empty")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    minutes = [point["seconds"] / 60 for point in points]
    for name, (label, colour, style) in LABELS.items():
        axes.plot(minutes, [point[name] for point in points], style, color=colour, marker=".", label=label)
    axes.set(xlabel="minutes of training the transformer", ylabel="share right", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(options.out, dpi=130)
    print("minutes  " + "  ".join(label for label, *_ in LABELS.values()))
    for minute, point in zip(minutes, points, strict=True):
        print(f"{minute:7.1f}  " + "  ".join(f"{point[name]:.3f}" for name in LABELS))


if __name__ == "__main__":
    main()
