"""Few-shot naming accuracy by the number of examples.

python benchmarks/few_shot.py --model runs/naming/transformer/model [--out docs/few_shot.png] [--json FILE]

Test documents of the shapes world show images with made-up words (configs/transformer/naming.yaml) and then
an image to name: by the word alone, or by the true word and then the made-up one, "red dax". The model is
compared with the attainable accuracy and with that of copying any word of the examples.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unitok.console import Parser, command, run_options

if TYPE_CHECKING:
    from compare import Row

EXAMPLES = (0, 1, 2, 4)
FORMS = {"seen, then named": True, "named at once": False}
"""Forms of an answer, by whether the true word comes first."""


class Point(NamedTuple):
    """Accuracy on all test images and on those of a class among the examples (`shown`), and baselines."""

    examples: int
    accuracy: float
    shown: float | None
    attainable: float
    copying: float


def arguments() -> Parser:
    """The command line."""
    parser = Parser(
        prog="few_shot.py",
        description="Let a model name images by made-up words that only the examples in the prompt explain.",
    )
    add = parser.add_argument
    parser.add_model()
    add("--count", type=int, default=500, help="test documents")
    add("--classes", type=int, default=2, help="words per document")
    add("--trait", choices=("colour", "shape"), default="colour", help="trait named by the words")
    add("--canvas", type=int, default=48, help="side of the scenes in pixels")
    add("--out", type=Path, metavar="FILE", help="plot to write")
    add("--json", metavar="FILE", help="also write the rows to this file")
    return parser


def measure(model, source, examples: Sequence[int] = EXAMPLES) -> list[Point]:
    """Scores the model's answers on a ShapesNaming, for each number of examples."""
    from unitok.worlds.shapes.naming import attainable_accuracy

    documents = [source[index] for index in range(len(source))]
    named = [source.named_scenes(index) for index in range(len(source))]
    points = []
    for number in examples:
        prompts = [document[: 2 * number + 1] for document in documents]
        answers = model.generate(prompts, target="text", batch_size=64)
        right = [
            document[-1].content.split()[-1:] == [scenes[number].word]
            for document, scenes in zip(answers, named, strict=True)
        ]
        known = [hit for hit, scenes in zip(right, named, strict=True) if scenes[number].known]
        points.append(
            Point(
                number,
                sum(right) / len(right),
                sum(known) / len(known) if known else None,
                attainable_accuracy(number, classes=source.classes),
                1 / source.classes if number else 0.0,
            )
        )
    return points


def plot(by_form: Mapping[str, Sequence[Point]], path: Path, *, title: str) -> None:
    """Plot accuracy by number of examples, a line per form."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    points = next(iter(by_form.values()))
    x = [point.examples for point in points]
    axes.plot(x, [p.attainable for p in points], "--", color="gray", label="attainable")
    for form, line in by_form.items():
        axes.plot(x, [p.accuracy for p in line], "o-", label=f"model: {form}")
    axes.plot(x, [p.copying for p in points], ":", color="gray", label="copying any of the words")
    axes.set(title=title, xlabel="examples", ylabel="images named right", ylim=(0, 1.03), xticks=x)
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


@command("few_shot.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, measure, print, plot."""
    options = arguments().parse_args(args)
    from compare import finish

    from unitok import UniTok
    from unitok.worlds.seeded import TEST_SEED
    from unitok.worlds.shapes.naming import ShapesNaming

    model = UniTok.from_pretrained(options.model, **run_options(options))
    settings = {
        "canvas": options.canvas,
        "pictures": max(EXAMPLES) + 1,
        "classes": options.classes,
        "trait": options.trait,
    }
    by_form = {
        form: measure(model, ShapesNaming(TEST_SEED, options.count, said=said, **settings))
        for form, said in FORMS.items()
    }
    if options.out:
        title = f"{options.classes} made-up words for {options.trait}s a document, {options.count} documents"
        plot(by_form, options.out, title=title)
    finish([row for form, points in by_form.items() for row in rows(form, points)], options.json)


def rows(form: str, points: Sequence[Point]) -> list["Row"]:
    """A row for all images, and one for those whose class is among the examples."""
    from compare import Row

    result = []
    for point in points:
        name, remark = f"{form}, {point.examples} examples", f"attainable {point.attainable:.3f}"
        remark += f", copying {point.copying:.3f}"
        result.append(Row(name, point.accuracy, "", None, None, True, remark))
        if point.shown is not None:
            result.append(Row(f"{name}, shown", point.shown, "", None, None, True))
    return result


if __name__ == "__main__":
    main()
