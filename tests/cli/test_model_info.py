"""`unitok info` tells the contents of a model folder from its files, or what is wrong with it."""

import json

import pytest

from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask, TaskExample, TaskFigure
from unitok.cli.main import main
from unitok.modalities.vision import VisionConfig
from unitok.models.transformer_config import BlockVariant


def test_info_tells_what_a_folder_holds(tmp_path, capsys):
    model = tiny_model()
    model.save_pretrained(tmp_path / "model")
    card = tmp_path / "model/README.md"
    card.write_text(
        card.read_text() + "\n## Measured\n\nOn 3 images.\n\n| figure | value |\n|---|---|\n| psnr | 40.1 |\n"
    )
    main(["info", f"{tmp_path}/model"])
    text = capsys.readouterr().out
    assert f"{model.model.parameter_count:,} parameters" in text
    assert "2 x 3 codes" in text and "On 3 images.\npsnr  40.1\n" in text


def test_info_tells_what_a_model_sees_with(tmp_path, capsys):
    for tiles, more in ((1, ""), (4, ", in at most 4 tiles")):
        tiny_model(vision=VisionConfig(tiles=tiles)).save_pretrained(tmp_path / f"model{tiles}")
        main(["info", f"{tmp_path}/model{tiles}"])
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert f"shown images seen by Latents through a Projector{more}" in lines
    assert not any("0 of vision" in line for line in lines)


@pytest.mark.parametrize(
    ("vision", "variant", "said"),
    [
        (VisionConfig(one_place=True), {"cross_every": 2}, "cross-attention to the most recent image"),
        (VisionConfig(), {"visual_rank": 3}, "visual updates of rank 3"),
        (VisionConfig(), {"bidirectional": "prefix"}, "attention in both directions inside what a document"),
        (VisionConfig(), {"bidirectional": "images"}, "attention in both directions inside each image"),
    ],
)
def test_info_and_the_card_tell_how_a_model_sees(vision, variant, said, tmp_path, capsys):
    tiny_model(vision=vision, variant=BlockVariant(**variant)).save_pretrained(tmp_path / "model")
    main(["info", f"{tmp_path}/model"])
    card = (tmp_path / "model/README.md").read_text(encoding="utf-8").replace("|", " ")
    for text in (capsys.readouterr().out, card):
        assert said in " ".join(text.split())


def test_info_tells_what_a_model_learned(tmp_path, capsys):
    figure = TaskFigure("answer_accuracy", 0.9, 200, "tasks", "2026-11-22")
    learned = LearnedTask("questions", (TaskExample("which?", "red"),), (figure,))
    for name, tasks in (("old", None), ("new", [learned])):
        tiny_model(tasks=tasks).save_pretrained(tmp_path / name)
        main(["info", f"{tmp_path}/{name}"])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "tasks not recorded" in lines
    assert "learned questions which? → red | answer_accuracy 0.900 (200 of tasks, 2026-11-22)" in lines


@pytest.mark.parametrize("content", [None, "{}", "[]", "{", json.dumps({"transformer": 3})])
def test_info_names_a_folder_that_is_no_model(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(SystemExit) as stopped:
        main(["info", str(tmp_path)])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and str(tmp_path) in error and len(error.splitlines()) == 1
