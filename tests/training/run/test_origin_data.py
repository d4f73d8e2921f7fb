"""The data of the model that a run starts from are found by its own run's settings, or named by hand."""

import pytest
import yaml

from tests.tiny_model import tiny_model
from unitok.data.document_data import DocumentData
from unitok.modalities.location_bins import LOCATIONS
from unitok.modalities.vision import VisionConfig
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Patches
from unitok.training.run.origin_data import SAMPLE, open_origin_data
from unitok.training.weights.init_from import StartConfig
from unitok.worlds.shapes.scenes import ShapesSource

SCENES = {"class_path": "ShapesSource", "init_args": {"canvas": 48, "count": 100}}


@pytest.fixture(scope="module")
def model():
    return tiny_model(shape=(2, 3))


@pytest.fixture
def run(model) -> DocumentData:
    """A run on other scenes, of pairs of any order, with the ids of the tiny model."""
    scenes = ShapesSource(canvas=48, count=4)
    data = DocumentData(train=scenes, val=scenes, row_length=100, batch_size=16)
    data.codec = model.codec
    return data


@pytest.fixture
def origin(model, tmp_path):
    """Saves the model beside a run with these settings of its data; returns its folder."""

    def save(place: str | None = "logs/config.yaml", **data) -> str:
        model.save_pretrained(tmp_path / "model")
        if place is not None:
            (tmp_path / place).parent.mkdir(parents=True)
            (tmp_path / place).write_text(yaml.safe_dump({"model": {}, "data": data}))
        return str(tmp_path / "model")

    return save


@pytest.mark.parametrize("place", ["logs/config.yaml", "transformer/logs/config.yaml"])
def test_the_validation_data_of_its_run_are_sampled_in_the_runs_ids(origin, run, place):
    folder = origin(place, val=SCENES, task={"name": "draw"}, row_length=200)
    name, documents, batches = open_origin_data(StartConfig(folder), run)
    assert (name, documents) == ("ShapesSource", SAMPLE) and len(batches) == SAMPLE // 16
    again = open_origin_data(StartConfig(folder), run).batches
    assert all(a.ids.equal(b.ids) for a, b in zip(batches, again, strict=True))
    assert {int(batch.ids[0, 1]) for batch in batches} == {run.codec.vocabulary.begin("text")}


def test_without_val_a_share_of_train_and_the_split_of_a_path_are_taken(origin, run, tmp_path):
    folder = origin(train=SCENES)
    assert open_origin_data(StartConfig(folder), run).documents == 5
    texts = tmp_path / "texts.txt"
    texts.write_text("\n\n".join(f"a red circle {i}" for i in range(40)))
    (tmp_path / "logs/config.yaml").write_text(yaml.safe_dump({"data": {"path": str(texts)}}))
    name, documents, _ = open_origin_data(StartConfig(folder), run)
    assert (name, documents) == ("PlainText", 2)


def test_a_setting_names_them_by_hand(origin, run, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n\n".join(f"a red circle {i}" for i in range(40)))
    folder = origin(None)
    assert open_origin_data(StartConfig(folder, origin_data=str(texts)), run).name == "PlainText"
    assert open_origin_data(StartConfig(folder, origin_data=SCENES), run).documents == SAMPLE
    with pytest.raises(ValueError, match="nowhere"):
        open_origin_data(StartConfig(folder, origin_data="nowhere"), run)


def test_documents_of_a_modality_that_the_run_lacks_are_not_measured(run, tmp_path):
    tiny_model(shape=(2, 3), more=[LOCATIONS["box"]()]).save_pretrained(tmp_path / "model")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/config.yaml").write_text(yaml.safe_dump({"data": {"val": SCENES}}))
    with pytest.raises(ValueError, match="may hold box, which the data of this run lack"):
        open_origin_data(StartConfig(str(tmp_path / "model")), run)


def test_the_documents_of_a_model_that_sees_are_measured_by_a_run_that_sees(run, tmp_path):
    model = tiny_model(shape=(2, 3), vision=VisionConfig(Patches(4), Projector()))
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/config.yaml").write_text(yaml.safe_dump({"data": {"val": SCENES}}))
    run.codec = model.codec
    assert open_origin_data(StartConfig(str(tmp_path / "model")), run).documents


def test_documents_that_the_ids_of_the_run_cannot_hold_are_refused(origin, run):
    boxes = {"class_path": "ShapesTasks", "init_args": {"canvas": 48, "count": 200, "tasks": ["box"]}}
    with pytest.raises(
        ValueError, match="ShapesTasks: no document has a target to learn in the ids of this run"
    ):
        open_origin_data(StartConfig(origin(None), origin_data=boxes), run)


def test_one_line_says_why_they_are_not_known(origin, run, tmp_path):
    folder = origin(None)
    with pytest.raises(
        FileNotFoundError, match=r"model: no run beside it names its data: give --model\.start"
    ):
        open_origin_data(StartConfig(folder), run)
    config = tmp_path / "logs/config.yaml"
    config.parent.mkdir()
    config.write_text(yaml.safe_dump({"data": {"path": "gone/away"}}))
    with pytest.raises(ValueError, match="gone/away"):
        open_origin_data(StartConfig(folder), run)
    config.write_text(yaml.safe_dump({"data": {"val": SCENES, "condition_dropout": 0.1}}))
    with pytest.raises(ValueError, match=r"config\.yaml: data\.condition_dropout is now data\.task"):
        open_origin_data(StartConfig(folder), run)
    for text in ("data: [", "other: 1", "- 1"):
        config.write_text(text)
        with pytest.raises(ValueError, match=r"config\.yaml: not the settings of a run"):
            open_origin_data(StartConfig(folder), run)
