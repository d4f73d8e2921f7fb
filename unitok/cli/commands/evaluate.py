"""Measure a model and write a report: unitok evaluate --model runs/demo/model --suite shapes

On a benchmark's own files: unitok evaluate --suite pope --file coco_pope_random.jsonl --images DIR
"""

from pathlib import Path

from unitok.console import Parser, Setting, command, run_options

SUITES = (
    "shapes",
    "tasks",
    "hallucination",
    "easy_vqa",
    "pairs",
    "labels",
    "answers",
    "nlvr",
    "nlvr_boxes",
    "pope",
    "vqa",
    "refcoco",
    "caption",
    "chair",
)


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok evaluate",
        description="Let a model reconstruct, caption, draw and answer; write report.json and contact "
        "sheets, print the figures.",
    )
    add = parser.add_argument
    parser.add_model()
    add("--suite", choices=SUITES, default="shapes",
        help="shapes and easy_vqa have judges; tasks and hallucination are questions about shapes; pairs is "
        "any data set, labels uses its captions as classes; answers and nlvr are the questions of a data "
        "set, nlvr_boxes with each of NLVR's three boxes as an image of its own; the others are benchmarks "
        "with --file")  # fmt: skip
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
        help="data set, for easy_vqa, pairs, labels, answers and nlvr",
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
    files = ("file", "annotations", "images", "words", "template")
    file_options = {name: getattr(options, name) for name in files if getattr(options, name) is not None}
    from unitok import UniTok
    from unitok.atomic_files import refuse_unwritable
    from unitok.evaluate.suites import run_suite

    refuse_unwritable(options.out)  # before the work, not after it
    model = UniTok.from_pretrained(options.model, **run_options(options))
    report = run_suite(
        model,
        options.suite,
        path=options.path,
        split=options.split,
        where=options.where,
        tasks=options.tasks,
        count=options.count,
        batch_size=options.batch_size,
        **file_options,
    )
    report.save(options.out)
    report.show(f"{options.out}/report.json")
    print("images: " + " ".join(f"{options.out}/{name}.png" for name in report.sheets))
