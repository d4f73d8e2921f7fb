"""NLVR from scratch and after rendered scenes: accuracy over several seeds against the majority baseline.

python benchmarks/nlvr.py [--start DIR] [--seeds 0 1 2 | --lessons-alone] [--kinds "from scratch" …]
                          [--out runs/benchmark_nlvr] [--json FILE]

NLVR's shards must be in data/nlvr (a link will do), the model of configs/transformer/shapes_tasks_more.yaml
in DIR. Boxes are read as codes, or seen as pixels. The lessons on grey boxes are trained once for all seeds;
with `--lessons-alone` they are all that is learned. Runs train/transformer.py and
train/evaluate.py with the project's configs, each in its own process; runs whose folder exists are not
repeated. The final weights are measured on held-out statements, which select nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from compare import Row, command_line, finish

ROOT = Path(__file__).parents[1]
CONFIGS, DATA = ROOT / "configs/transformer", Path("data/nlvr")
SCRATCH, SEEN, AFTER = "from scratch", "seen, from scratch", "after Shapes"
LESSONS = {SCRATCH: ["boxes"], SEEN: ["boxes", "boxes_seen"], AFTER: ["boxes", "boxes_after_shapes"]}
RUNS = {SCRATCH: ["nlvr"], SEEN: ["nlvr"], AFTER: ["nlvr", "nlvr_after_shapes"]}
FIGURES = ("nlvr_accuracy", "nlvr_consistency", "boxes_read", "scattered_boxes_read")


class Runs:
    """Trainings on NLVR, each in a folder of `out`.

    Args:
        start: model trained on rendered scenes, whose image tokenizer all runs use.
        out: output folder.
        threads: CPU threads of each training.
        more: further options of every training.
    """

    def __init__(self, start: Path, out: Path, *, threads: int, more: Sequence[str] = ()):
        self.start, self.out, self.threads, self.more = start, out, threads, list(more)

    def measure(self, name: str, seed: int | None) -> dict[str, float]:
        """Train and evaluate one model, as far as that is missing; returns its figures. Without a seed, the
        model of the lessons."""
        stem = name.replace(",", "").replace(" ", "_")
        lessons = self.out / f"{stem}_lessons"
        folder = lessons if seed is None else self.out / f"{stem}_{seed}"
        if not (lessons / "model").is_dir():
            start = ["--model.start.init_from", str(self.start)] if name == AFTER else []
            images = ["--data.codec.image_tokenizer", str(self.start / "image_tokenizer")]
            self._train(LESSONS[name], 0, lessons, [*start, *images])
        if not (folder / "model").is_dir():
            self._train(RUNS[name], seed, folder, ["--model.start.init_from", str(lessons / "model")])
        report = folder / "evaluation/report.json"
        if not report.is_file():
            flags = ["--suite", "nlvr_boxes", "--data.path", str(DATA), "--out", str(report.parent)]
            _run("evaluate", ["--model", str(folder / "model"), *flags])
        return json.loads(report.read_bytes())

    def _train(self, configs: Sequence[str], seed: int, folder: Path, more: Sequence[str]) -> None:
        files = [flag for name in configs for flag in ("--config", str(CONFIGS / f"{name}.yaml"))]
        options = {
            "trainer.default_root_dir": folder,
            "trainer.enable_progress_bar": "false",
            "threads": self.threads,
            "seed_everything": seed,
            "data.seed": seed,
        }
        flags = [flag for option, value in options.items() for flag in (f"--{option}", str(value))]
        _run("transformer", ["fit", *files, *flags, *more, *self.more])


def _run(script: str, args: Sequence[str]) -> None:
    subprocess.run([sys.executable, str(ROOT / f"train/{script}.py"), *args], check=True)


def rows(name: str, reports: Sequence[dict[str, float]]) -> list[Row]:
    """Means over the seeds, as ratios to the majority verdict's share, with sample standard deviations."""
    majority, result = reports[0]["majority_share"], []
    for figure in FIGURES:
        values = [report[figure] for report in reports]
        deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        remark = f"{statistics.mean(values):.3f}{deviation} of {len(values)} seeds"
        ratio = statistics.mean(values) / majority if figure == FIGURES[0] else None
        result.append(Row(f"{name}: {figure}", statistics.mean(values), "", ratio, None, True, remark))
        if len(values) > 1:
            result.append(Row(f"{name}: {figure}, spread", statistics.stdev(values), "", None, None, True))
    return result


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, threads=1)
    add = parser.add_argument
    add("--start", type=Path, default=Path("runs/shapes_tasks_more/transformer/model"), metavar="DIR",
        help="model trained on rendered scenes (default %(default)s)")  # fmt: skip
    add("--out", type=Path, default=Path("runs/benchmark_nlvr"), metavar="DIR", help="output folder")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the trainings on NLVR (default 0 1 2)")
    add("--lessons-alone", action="store_true", help="measure the models of the lessons, without NLVR")
    add("--kinds", nargs="+", choices=RUNS, default=[SCRATCH, AFTER],
        help="starting points, and how boxes are read (default: codes, from both)")  # fmt: skip
    add("--more", nargs="*", default=[], metavar="OPTION=VALUE",
        help="options of all transformer trainings, without --, such as trainer.max_steps=100")  # fmt: skip
    return parser


def main() -> None:
    """Run what is missing, print the table."""
    options = arguments().parse_args()
    more = [f"--{option}" for option in options.more]
    if not DATA.is_dir():
        raise SystemExit(f"{DATA.absolute()}: not found: link the folder of NLVR's shards to it")
    if not options.start.is_dir():
        raise SystemExit(f"{options.start}: not found: configs/transformer/shapes_tasks_more.yaml trains it")
    runs = Runs(options.start, options.out, threads=options.threads, more=more)
    table: list[Row] = []
    seeds = [None] if options.lessons_alone else options.seeds
    for kind in options.kinds:
        reports = [runs.measure(kind, seed) for seed in seeds]
        table += rows(kind, reports)
    share = Row("the more frequent verdict", reports[0]["majority_share"], "", None, None, True)
    finish([share, *table], options.json)


if __name__ == "__main__":
    main()
