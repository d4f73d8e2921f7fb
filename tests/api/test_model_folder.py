"""Saving a model folder harms no other file; every fault of a folder is a single error."""

import copy
import json
import os
import re
import shutil
import stat
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask, TaskExample, TaskFigure
from unitok.api.model_card import record_figures, record_tasks, with_figures
from unitok.api.model_folder import convert_weights, read_tasks, update_card
from unitok.api.unitok import UniTok
from unitok.interop.transformers_export import export
from unitok.modalities.actions import ActionModality
from unitok.modalities.location_bins import LOCATIONS
from unitok.models.transformer import Transformer

FILES = {
    "README.md", "config.json", "image_tokenizer/config.json", "image_tokenizer/model.safetensors",
    "model.safetensors", "sha256.json", "tokenizer.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    more = (*(kind() for kind in LOCATIONS.values()), ActionModality([0, -1], [1, 1], 9))
    tasks = [LearnedTask("captions", (TaskExample("", "ein Stern"),))]
    return tiny_model(positions="sequential", more=more, example_prompts=["ein Stern 星…"], tasks=tasks)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m"
    model.save_pretrained(path)
    return path


def save_tokenizer(model: UniTok, folder) -> None:
    model.codec.modalities["image"].tokenizer.save_pretrained(folder)


SAVED = {
    "model": (UniTok.save_pretrained, FILES),
    "tokenizer": (save_tokenizer, {"config.json", "model.safetensors"}),
    "export": (
        export,
        {"config.json", "generation_config.json", "grammar.json", "grammar_processor.py", "model.safetensors",
         "tokenizer.json"},
    ),
}  # fmt: skip
"""How each kind of folder is saved, and its files."""


@pytest.fixture(params=SAVED)
def saved(request):
    return SAVED[request.param]


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


class TestSaving:
    @pytest.mark.parametrize(
        "held",
        [
            {"notes.txt": "mine", "data/a.txt": "mine"},
            {"config.json": '{"model_type": "gpt2"}', "model.safetensors": "theirs"},
            {"config.json": "not JSON"},
            {"config.json": "[1]"},
            {"__init__.py": "", "layers.py": "x = 1"},
            {".hidden": "mine"},
        ],
        ids=lambda held: ",".join(held),
    )
    def test_a_foreign_folder_is_refused_and_unchanged(self, model, saved, tmp_path, held):
        for name, content in held.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        with pytest.raises(FileExistsError, match=f"{tmp_path}: holds .* absent") as caught:
            saved[0](model, tmp_path)
        assert "\n" not in str(caught.value)
        assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == held

    def test_a_folder_is_not_overwritten_by_another_kind(self, model, folder, tmp_path):
        save_tokenizer(model, tmp_path)
        with pytest.raises(FileExistsError):
            model.save_pretrained(tmp_path)
        with pytest.raises(FileExistsError):
            save_tokenizer(model, folder)

    @pytest.mark.parametrize("kind", ["model", "tokenizer"])
    def test_a_users_files_stay(self, model, tmp_path, kind):
        save, files = SAVED[kind]
        save(model, tmp_path)
        for name in ("notes.txt", "samples/0.png", "image_tokenizer/mine"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("mine")
        save(model, tmp_path)
        assert names(tmp_path) == files | {"notes.txt", "samples/0.png", "image_tokenizer/mine"}

    def test_the_working_folder(self, model, saved, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        saved[0](model, ".")
        assert names(Path(".")) == saved[1]

    @pytest.mark.parametrize("to", ["a/../b", "deep/er", "mit Leerzeichen/星…", "trailing/"])
    def test_odd_paths(self, model, saved, tmp_path, monkeypatch, to):
        (tmp_path / "a").mkdir()
        monkeypatch.chdir(tmp_path)
        saved[0](model, to)
        assert names(Path(to)) == saved[1]

    def test_the_folder_above_is_not_empty(self, model, saved, tmp_path, monkeypatch):
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "sub")
        with pytest.raises(FileExistsError, match=r"\.\.: holds sub"):
            saved[0](model, "..")

    @pytest.mark.parametrize("there", [True, False])
    def test_a_link_is_followed(self, model, saved, tmp_path, there):
        if there:
            (tmp_path / "big").mkdir()
        (tmp_path / "link").symlink_to("big")
        saved[0](model, tmp_path / "link")
        assert (tmp_path / "link").is_symlink() and names(tmp_path / "big") == saved[1]
        assert sorted(os.listdir(tmp_path)) == ["big", "link"]

    def test_a_file_is_not_replaced(self, model, saved, tmp_path):
        (tmp_path / "f").write_text("mine")
        with pytest.raises(FileExistsError, match="f: must be a folder"):
            saved[0](model, tmp_path / "f")
        assert os.listdir(tmp_path) == ["f"] and (tmp_path / "f").read_text() == "mine"

    def test_below_a_file(self, model, saved, tmp_path):
        (tmp_path / "f").write_text("mine")
        with pytest.raises(OSError, match=r"f'$"):
            saved[0](model, tmp_path / "f/m")
        assert (tmp_path / "f").read_text() == "mine"

    def test_a_failed_save_leaves_nothing(self, model, saved, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*m'"):
            saved[0](model, tmp_path / "m")
        assert os.listdir(tmp_path) == []

    def test_file_modes_follow_the_umask(self, model, saved, tmp_path):
        before = os.umask(0o022)
        try:
            saved[0](model, tmp_path / "m")
        finally:
            os.umask(before)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "m").rglob("*") if path.is_file()}
        assert modes == {0o644}

    def test_a_model_saved_over_the_one_it_was_loaded_from(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / "m")
        model = UniTok.from_pretrained(tmp_path / "m", device="cpu")
        model.save_pretrained(tmp_path / "m")
        again = UniTok.from_pretrained(tmp_path / "m", verify=True)
        assert again.draw("a", seed=3)[0].tobytes() == model.draw("a", seed=3)[0].tobytes()

    @pytest.mark.parametrize("renames", range(8))
    def test_a_save_killed_between_renames_leaves_one_consistent_model(
        self, folder, model, tmp_path, monkeypatch, renames
    ):
        target = tmp_path / "m"
        shutil.copytree(folder, target)
        newer = copy.deepcopy(model)
        torch.nn.init.constant_(newer.model.norm.weight, 2.0)
        left, real = iter(range(renames)), os.replace

        def rename(source, place):
            if place.parent in (target, target / "image_tokenizer") and next(left, None) is None:
                raise Killed
            real(source, place)

        monkeypatch.setattr("unitok.atomic_files.os.replace", rename)
        with pytest.raises(Killed):
            newer.save_pretrained(target)
        monkeypatch.setattr("unitok.atomic_files.os.replace", real)
        weight = UniTok.from_pretrained(target, verify=True).model.norm.weight
        assert torch.equal(weight, (newer if renames else model).model.norm.weight)
        assert names(target) == FILES


class Killed(BaseException):
    """Simulates a killed process."""


@pytest.fixture
def as_nobody():
    """Yield a folder that others may enter, and a function that drops root's privileges."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder, lambda: os.seteuid(65534)
    os.seteuid(0)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root becomes somebody else")
class TestPermissions:
    @pytest.mark.parametrize("name", [*sorted(FILES - {"README.md", "sha256.json"}), "", "image_tokenizer"])
    def test_missing_read_permission_is_reported(self, folder, as_nobody, name):
        place, become = as_nobody
        shutil.copytree(folder, place / "m")
        (place / "m" / name).chmod(0)
        become()
        with pytest.raises(PermissionError, match=str(place / "m" / name)):
            UniTok.from_pretrained(place / "m", device="cpu")

    def test_read_permission_is_enough_to_load(self, model, as_nobody):
        place, become = as_nobody
        model.save_pretrained(place / "m")
        become()
        UniTok.from_pretrained(place / "m", device="cpu", verify=True)

    @pytest.mark.parametrize("there", [True, False])
    def test_missing_write_permission_is_reported(self, model, saved, as_nobody, there):
        place, become = as_nobody
        if there:
            saved[0](model, place / "m") if saved[0] is not export else (place / "m").mkdir()
        before = names(place)
        become()
        with pytest.raises(PermissionError, match=f"denied: '{place}/m'"):
            saved[0](model, place / "m")
        assert names(place) == before


class TestReading:
    def test_loaded_weights_do_not_depend_on_the_file(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / "m")
        model = UniTok.from_pretrained(tmp_path / "m", device="cpu")
        before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
        for name in ("model.safetensors", "image_tokenizer/model.safetensors"):
            with (tmp_path / "m" / name).open("r+b") as file:
                file.truncate(0)
        assert all(torch.equal(before[name], weight) for name, weight in model.model.state_dict().items())

    def test_loading_initialises_no_weights(self, folder, monkeypatch):
        devices = set()

        def note(*args, original, **options):
            devices.add((args[0] if args else options["tensor"]).device.type)
            return original(*args, **options)

        for name in ("normal_", "uniform_", "kaiming_uniform_", "trunc_normal_"):
            monkeypatch.setattr(torch.nn.init, name, partial(note, original=getattr(torch.nn.init, name)))
        UniTok.from_pretrained(folder)
        assert devices == {"meta"}

    def test_a_tied_head_is_one_matrix(self, model, tmp_path):
        tied = Transformer(replace(model.model.config, sizes=replace(model.model.sizes, tie_embeddings=True)))
        UniTok(tied, model.codec).save_pretrained(tmp_path)
        again = UniTok.from_pretrained(tmp_path, device="cpu").model
        assert again.unembedding.weight is again.embedding.weight
        assert torch.equal(again.embedding.weight, tied.embedding.weight)


WRONG = [None, True, -1, 2**31, 10**30, -0.5, float("nan"), "x", "../x", [], {}, [1, "x"], {"kind": "VQGAN"}]
JSON_FILES = ["config.json", "image_tokenizer/config.json", "sha256.json"]


def places(values, at=()):
    """Yield the paths of all values in JSON, as tuples of keys and indices."""
    yield at
    keys = range(len(values)) if isinstance(values, list) else values if isinstance(values, dict) else ()
    for key in keys:
        yield from places(values[key], (*at, key))


def changed(values, at, new):
    """Copy JSON values with another one at a path."""
    if not at:
        return new
    key, copied = at[0], copy.copy(values)
    copied[key] = changed(values[key], at[1:], new)
    return copied


def assert_one_error(folder: Path) -> None:
    """Check that a folder loads, or is refused with one line that names its path."""
    try:
        UniTok.from_pretrained(folder, device="cpu", verify=(folder / "sha256.json").is_file())
    except (ValueError, OSError) as error:
        assert str(folder) in str(error) and "\n" not in str(error)


@pytest.fixture(scope="module")
def victim(folder, tmp_path_factory):
    return Path(shutil.copytree(folder, tmp_path_factory.mktemp("victims") / "m"))


CONTENTS = [b"", b"\xff\xfe", b"[" * 50_000, b"null", b"{}", b"[1]", None, "cut", "more"]


def test_a_card_shows_the_latest_figures_and_checksums_stay_valid(tmp_path):
    tiny_model().save_pretrained(tmp_path / "m")
    for value in (0.25, 0.5):
        update_card(
            tmp_path / "m", lambda card, value=value: with_figures(card, {"a": value, "n": 3}, on="x")
        )
    card = (tmp_path / "m/README.md").read_text()
    assert card.count("## Measured") == 1 and card.endswith(
        "On x.\n\n| figure | value |\n|---|---|\n| a | 0.500 |\n| n | 3 |\n"
    )
    assert card.startswith("---\nlibrary_name")
    UniTok.from_pretrained(tmp_path / "m", device="cpu", verify=True)


def test_weights_in_half_precision_take_half_the_space_and_draw_the_same(tmp_path):
    for name in ("whole", "half"):
        tiny_model().save_pretrained(tmp_path / name)
    convert_weights(tmp_path / "half", "float16")
    whole, half = (tmp_path / name for name in ("whole", "half"))
    for name in ("model.safetensors", "image_tokenizer/model.safetensors"):
        assert {weight.dtype for weight in load_file(half / name).values() if weight.is_floating_point()} == {
            torch.float16
        }
        assert (half / name).stat().st_size < 0.7 * (whole / name).stat().st_size
    images = [UniTok.from_pretrained(folder, verify=True).draw("a")[0] for folder in (whole, half)]
    difference = np.abs(np.subtract(*(np.asarray(image, np.float32) for image in images)))
    assert difference.mean() < 2


def test_a_list_of_tasks_is_kept_and_gains_figures(tmp_path):
    tasks = (LearnedTask("captions", (TaskExample("", "a | star"),)), LearnedTask("drawings"))
    tiny_model(tasks=tasks).save_pretrained(tmp_path / "m")
    figure = TaskFigure("caption_accuracy", 0.5, 8, "shapes", "2026-11-22")
    for value in (0.25, 0.5):
        record_figures(tmp_path / "m", {"captions": [replace(figure, value=value)], "edits": [figure]})
    update_card(tmp_path / "m", lambda card: with_figures(card, {"a": 1}, on="x"))
    record_tasks(tmp_path / "m", read_tasks(tmp_path / "m"))
    loaded = UniTok.from_pretrained(tmp_path / "m", device="cpu", verify=True)
    assert loaded.tasks == (replace(tasks[0], figures=(figure,)), tasks[1])
    card = (tmp_path / "m/README.md").read_text()
    row = "| captions | to write captions of images | → a \\| star | caption_accuracy 0.500 (8 of shapes, "
    assert row in card and card.count("## Tasks") == card.count("## Measured") == 1


@pytest.mark.parametrize(
    ("learned", "used"),
    [
        (["drawings", "captions"], ["draw", "caption"]),
        (["drawings"], ["draw"]),
        (["captions"], ["caption"]),
        (["questions"], ["answer"]),
        (["texts"], ["generate"]),
        (None, ["draw", "caption"]),
    ],
)
def test_the_cards_code_runs_and_uses_what_was_learned(learned, used, tmp_path, monkeypatch, capsys):
    tasks = None if learned is None else tuple(map(LearnedTask, learned))
    tiny_model(tasks=tasks).save_pretrained(tmp_path / "m")
    code = (tmp_path / "m/README.md").read_text().split("```python\n")[1].split("```")[0]
    assert re.findall(r"model\.(\w+)\(", code) == used
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("photo.jpg")
    exec(code.replace("THIS FOLDER", "m"), {})
    assert ("print" in code) == bool(capsys.readouterr().out)


def test_a_folder_without_a_list_stays_as_it_is(tmp_path):
    tiny_model().save_pretrained(tmp_path / "m")
    before = {path: (tmp_path / "m" / path).read_bytes() for path in FILES}
    record_figures(tmp_path / "m", {"captions": [TaskFigure("a", 0.5, 8, "shapes", "2026-11-22")]})
    assert {path: (tmp_path / "m" / path).read_bytes() for path in FILES} == before
    assert read_tasks(tmp_path / "m") is None and b"Tasks" not in before["README.md"]


class TestDamage:
    @pytest.mark.parametrize("name", JSON_FILES)
    @given(data=st.data())
    @settings(max_examples=40, deadline=None)
    def test_a_value_of_a_wrong_type_is_one_error(self, victim, folder, name, data):
        values = json.loads((folder / name).read_text())
        at = data.draw(st.sampled_from(list(places(values))))
        sums = (victim / "sha256.json").read_bytes()
        (victim / name).write_text(json.dumps(changed(values, at, data.draw(st.sampled_from(WRONG)))))
        if name != "sha256.json":
            (victim / "sha256.json").unlink()
        try:
            assert_one_error(victim)
        finally:
            (victim / "sha256.json").write_bytes(sums)
            shutil.copyfile(folder / name, victim / name)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize("name", ["model.safetensors", "image_tokenizer/model.safetensors"])
    def test_weights_that_are_not_finite_are_one_error(self, victim, folder, name, value):
        weights = load_file(folder / name)
        last = max(key for key, tensor in weights.items() if tensor.is_floating_point())
        weights[last].flatten()[-1] = value
        save_file(weights, victim / name)
        try:
            with pytest.raises(ValueError, match=f"tensor {last} must be finite"):
                UniTok.from_pretrained(victim, device="cpu")
        finally:
            shutil.copyfile(folder / name, victim / name)

    @pytest.mark.parametrize("name", sorted(FILES - {"README.md"}))
    @pytest.mark.parametrize("content", CONTENTS)
    def test_a_file_of_wrong_content_is_one_error(self, victim, folder, name, content):
        whole = (folder / name).read_bytes()
        given = {"cut": whole[: len(whole) // 2], "more": whole + b"xx", None: None}.get(content, content)
        (victim / name).unlink()
        if given is None:
            (victim / name).mkdir()
        else:
            (victim / name).write_bytes(given)
        try:
            with pytest.raises((ValueError, OSError), match=str(victim)) as caught:
                UniTok.from_pretrained(victim, device="cpu", verify=name == "sha256.json")
            assert "\n" not in str(caught.value)
        finally:
            (victim / name).rmdir() if given is None else (victim / name).unlink()
            shutil.copyfile(folder / name, victim / name)
