"""Measure a model and write a report: unitok evaluate --model runs/demo/model --suite shapes

On a benchmark's own files: unitok evaluate --suite pope --file coco_pope_random.jsonl --images DIR
"""

from pathlib import Path

from unitok.console import BUNDLED, Parser, Setting, command, run_options, warn
from unitok.evaluate.suites import SUITES, find_suite, open_suite, run_suite

OPTIONS = ("path", "split", "where", "tasks", "count", "file", "annotations", "images", "words", "template")
"""Options of suites; each suite takes some of them."""


def arguments() -> Parser:
    """Build the parser of the command line."""
    width = max(map(len, SUITES)) + 2
    suites = "\n".join(f"  {name:<{width}}{suite.help}" for name, suite in SUITES.items())
    parser = Parser(
        prog="unitok evaluate",
        description="Let a model reconstruct, caption, draw and answer; write report.json and contact "
        "sheets, print the figures.",
        epilog=f"suites:\n{suites}",
    )
    add = parser.add_argument
    parser.add_model()
    add("--suite", choices=SUITES, default="shapes", metavar="NAME", help="what is measured; see below")
    add(
        "--out",
        type=Path,
        default=Path("runs/evaluation"),
        metavar="DIR",
        help="folder of report and contact sheets",
    )
    add(
        "--data.path",
        dest="path",
        metavar="PATH",
        help="data set, for the suites that read one",
    )
    add("--split", help="of the data set: train, val or test; val if absent")
    add("--where", action=Setting, metavar="NAME=VALUE",
        help="only samples with this metadata, such as subset=combo; may be repeated")  # fmt: skip
    add("--file", metavar="FILE", help="a benchmark's questions, expressions, captions or instances")
    add("--annotations", metavar="FILE",
        help="its second file: VQA's annotations, RefCOCO's instances, CHAIR's captions")  # fmt: skip
    add("--images", metavar="DIR", help="the folder of its images, or of tar shards of them")
    add("--words", metavar="FILE", help="CHAIR's synonyms.txt")
    add("--template", metavar="TEXT", help="prompt for a benchmark's question, such as 'where is {}?'")
    add("--tasks", nargs="+", metavar="NAME",
        help="of the suite tasks, such as count statement_two; if absent the usual ones")  # fmt: skip
    add("--count", type=int, help="images or questions; if absent 500 of shapes, 200 per task, or all")
    add("--batch-size", type=int, default=128, help="images at once")
    return parser


@command("unitok evaluate")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write and print the report."""
    options = arguments().parse_args(args)
    given = {name: getattr(options, name) for name in OPTIONS}
    from unitok import UniTok
    from unitok.api.model_card import record_figures
    from unitok.atomic_files import refuse_unwritable

    refuse_unwritable(options.out)  # before the work, not after it
    model = UniTok.from_pretrained(options.model, **run_options(options))
    warn(open_suite(options.suite, **given).never_learned(model))
    report = run_suite(model, options.suite, batch_size=options.batch_size, **given)
    report.save(options.out)
    report.show(f"{options.out}/report.json")
    data = options.suite if options.path is None else f"{options.suite} of {Path(options.path).name}"
    try:
        if options.model != BUNDLED:  # whose figures are those of `make bundled`
            record_figures(options.model, find_suite(options.suite).of_tasks(report.figures, on=data))
    except (OSError, ValueError) as error:
        warn(f"the model's folder does not get the figures: {error}")
    print("images: " + " ".join(f"{options.out}/{name}.png" for name in report.sheets))
