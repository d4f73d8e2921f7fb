"""The bundled model: small, whole, found by its name, and as good as its figures say."""

import math

import pytest

from tests.cases import cases
from unitok.api.hub import PACKAGED, model_folder_of
from unitok.api.model_folder import verify_checksums
from unitok.cli.commands.evaluate import main as evaluate
from unitok.console import BUNDLED
from unitok.evaluate.judged_sets import shapes_set
from unitok.evaluate.report import measure

MOST_BYTES = 8_000_000
"""Of the folder: every copy of the package holds it."""
MOST_LOST = 0.02
"""By which an accuracy may fall short of the stored one on all of its scenes."""
SCENES = 500
"""Behind a stored figure; of fewer ones three standard deviations may be lost, too."""


def test_its_name_means_the_folder_inside_the_package_in_any_folder(tmp_path, monkeypatch):
    (tmp_path / BUNDLED).mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_folder_of(BUNDLED) == PACKAGED
    verify_checksums(PACKAGED)
    assert sum(path.stat().st_size for path in PACKAGED.rglob("*") if path.is_file()) <= MOST_BYTES
    card = (PACKAGED / "README.md").read_text()
    assert "`unitok demo --configs configs/demo configs/bundled --out runs/bundled --dtype float16`" in card


@pytest.mark.parametrize("prefix", ["", "heldout_"])
@cases(32, SCENES)
def test_it_is_as_good_as_its_figures_say(bundled, prefix, count):
    names = [f"{prefix}{kind}_accuracy" for kind in ("caption", "image")]
    stored = {figure.name: figure for task in bundled.tasks for figure in task.figures}
    scenes = shapes_set(canvas=48, count=count, held_out=bool(prefix))
    measured = measure(bundled, scenes, prefix=prefix).figures
    for figure in (stored[name] for name in names):
        assert figure.samples == SCENES
        chance = math.sqrt(figure.value * (1 - figure.value) / count) if count < SCENES else 0.0
        assert measured[figure.name] >= figure.value - MOST_LOST - 3 * chance


def test_an_evaluation_leaves_its_folder_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in PACKAGED.rglob("*")}
    evaluate(["--suite", "shapes", "--count", "1"])
    assert {path: path.stat().st_mtime_ns for path in PACKAGED.rglob("*")} == before
    told = capsys.readouterr()
    assert (
        "caption_accuracy" in told.out
        and told.err.startswith("model: bundled ")
        and told.err.count("\n") == 1
    )
