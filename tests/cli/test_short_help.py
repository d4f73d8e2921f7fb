"""Help is fast, without heavy imports, and its flags exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from unitok.cli.commands import train_model, train_tokenizer

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for folder in ("train", "sample") for path in (ROOT / folder).glob("[a-z]*.py"))
HEAVY = [
    "fastapi",
    "gradio",
    "jsonargparse",
    "lightning",
    "matplotlib",
    "numpy",
    "PIL",
    "rich",
    "scipy",
    "torch",
    "transformers",
    "uvicorn",
]
RUN = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    assert not stop.code
heavy = {*%r} & {*sys.modules}
assert not heavy, heavy
"""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_help_imports_nothing_heavy(path):
    done = subprocess.run(
        [sys.executable, "-c", RUN % (HEAVY,), str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout and "unitok " in done.stdout and "--" in done.stdout


@pytest.mark.parametrize("script", [train_tokenizer, train_model], ids=lambda script: script.PROGRAM)
def test_settings_of_the_short_help_are_lightnings(script, capsys, monkeypatch):
    script.main(["--help"])
    flags = re.findall(r"^  (--[\w.]+) ", capsys.readouterr().out, re.MULTILINE)
    assert len(flags) > 15
    with pytest.raises(SystemExit):
        script.main(["fit", "--help"])
    known = capsys.readouterr().out
    assert [flag for flag in flags if not re.search(rf"{re.escape(flag)}\b", known)] == []
