"""Sets of many kinds, each in one command: does it end with a model, and was the forecast true?

python benchmarks/own_sets.py SET [SET ...] [--minutes 5] [--out runs/own-sets] [--json FILE]

Runs `unitok train SET --minutes 5` on each set, without another setting, and prints steps, memory and minutes
over their forecast (within 30% is well), and the verdict.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from compare import Row, command_line, finish

TOLERANCE = 0.3


def rows(path: str, out: Path, minutes: str) -> Iterator[Row]:
    """What a set's training took, over its forecast."""
    command = (
        sys.executable,
        "-m",
        "unitok",
        "train",
        path,
        "--minutes",
        minutes,
        "--out",
        str(out),
        "--yes",
    )
    run = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8")
    name = Path(path).name
    if run.returncode:
        reason = run.stderr.strip().rpartition("\n")[2]
        yield Row(f"{name}: a model, or one line", 0, "", None, None, "error: " in reason, reason)
        return
    forecast, took = (
        json.loads((out / file).read_text(encoding="utf-8")) for file in ("forecast.json", "took.json")
    )
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    yield Row(f"{name}: PSNR", report["psnr"], "dB", None, None, (out / "model").is_dir(), report["verdict"])
    pairs = {f"{part} steps": (took["steps"][i], forecast["steps"][i]) for i, part in enumerate(PARTS)}
    pairs |= {figure: (took[figure], forecast[figure]) for figure in ("megabytes", "minutes")}
    for figure, (came, told) in pairs.items():
        ratio = came / max(1e-9, told)
        within = abs(ratio - 1) <= TOLERANCE
        yield Row(f"{name}: {figure}", came, "", ratio, None, within, f"forecast {told:,.4g}")


PARTS = ("tokenizer", "transformer")


def main() -> None:
    """Train on every set and print the table."""
    parser = command_line(__doc__)
    parser.add_argument("sets", nargs="+", metavar="SET", help="files or folders of any format")
    parser.add_argument("--minutes", default="5", help="of each training (default %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/own-sets"), help="folder (default %(default)s)"
    )
    options = parser.parse_args()
    table = []
    for path in options.sets:
        table += rows(path, options.out / Path(path).name.split(".")[0], options.minutes)
    finish(table, options.json)


if __name__ == "__main__":
    main()
