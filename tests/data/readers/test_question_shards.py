"""Questions and statements of shards become documents, and a model's answers to them are counted."""

import json
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.data.test_sources import write_shard
from tests.tiny_model import tiny_model
from train.evaluate import main
from unitok.data.readers.question_shards import QuestionShards, StatementShards
from unitok.document import Segment
from unitok.evaluate.question_shards import questions_report, statements_report
from unitok.modalities.geometry import Box
from unitok.modalities.location_bins import BoxModality

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
QA = [["what shape is present?", "circle"], ["is there a red shape?", "yes"]]
RECORDS = [
    {"qa": QA, "bbox_xyxy": [3, 2, 9, 6], "sentence": "There is a dot.", "label": "true", "group_id": "7"},
    {"qa": QA[:1], "bbox_xyxy": [0, 0, 12, 8], "sentence": "There is a dot.", "label": "false",
     "group_id": "7"},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    files = {}
    for i, (record, colour) in enumerate(zip(RECORDS, ("red", "blue"), strict=True)):
        image = BytesIO()
        Image.new("RGB", (12, 8), colour).save(image, "PNG")
        files |= {f"{i}.png": image.getvalue(), f"{i}.txt": f"a {colour} circle".encode()}
        files[f"{i}.json"] = json.dumps(record).encode()
    write_shard(tmp_path / "val-0.tar", files)
    return str(tmp_path)


def test_questions_and_boxes_become_documents(folder):
    plain = QuestionShards(folder, "val")
    assert [[s.content for s in plain[i][1:]] for i in range(len(plain))] == [*QA, QA[0]]
    source = QuestionShards(folder, "val", boxes=True)
    box = Box(0.25, 0.25, 0.75, 0.75)
    assert len(source) == 7
    assert [s.content for s in source[2][1:]] == ["where is the red circle?", box]
    assert [s.content for s in source[3][1:]] == ["what is here?", box, "a red circle"]
    for document in (source[i] for i in range(7)):
        assert [segment.learn for segment in document] == [False] * (len(document) - 1) + [True]
        assert document[0].content.size == (12, 8)


def test_questions_in_a_row_are_all_there_and_only_answers_are_learned(folder):
    alone = QuestionShards(folder, "val", boxes=True)
    several = QuestionShards(folder, "val", boxes=True, turns=3)
    assert len(several) == 3  # of 4 and 3 questions
    learned = [s.content for i in range(3) for s in several[i] if s.learn]
    assert Counter(map(str, learned)) == Counter(str(alone[i][-1].content) for i in range(7))
    assert all(several[i][0].modality == "image" and several[i][-1].learn for i in range(3))
    with pytest.raises(ValueError, match="turns must be at least 1, got 0"):
        QuestionShards(folder, "val", turns=0)


def test_statements_become_documents(folder):
    source = StatementShards(folder, "val")
    assert [source[i][2].content for i in range(2)] == ["true", "false"]
    assert [source.truth(0), source.truth(1)] == [True, False]
    assert source.sentence(0) == source.sentence(1) and not source[0][1].learn


@pytest.mark.parametrize("kind", [QuestionShards, StatementShards])
def test_samples_without_questions_are_refused(tmp_path, kind):
    image = BytesIO()
    Image.new("RGB", (12, 8)).save(image, "PNG")
    write_shard(tmp_path / "val-0.tar", {"a.png": image.getvalue(), "a.txt": b"a", "a.json": b"{}"})
    with pytest.raises(ValueError, match=r"must have a sentence|no sample has questions"):
        kind(str(tmp_path), "val")
    with pytest.raises(ValueError, match="sample 0 has no bbox_xyxy"):
        QuestionShards(str(tmp_path), "val", boxes=True)


def test_answers_of_an_untrained_model(folder, tmp_path):
    model = tiny_model(more=[BoxModality()])
    found = questions_report(model, QuestionShards(folder, "val", boxes=True)).figures
    assert found["questions"] == 7
    assert {"answer_accuracy", "name_accuracy", "box_accuracy", "box_mean_iou"} < found.keys()
    assert not {"box_mean_iou"} & questions_report(model, QuestionShards(folder, "val")).figures.keys()
    said = statements_report(model, StatementShards(folder, "val")).figures
    assert said["statements"] == 2 and said["majority_share"] == 0.5
    assert said["nlvr_accuracy"] in (0.0, 0.5, 1.0) and said["nlvr_consistency"] <= said["nlvr_accuracy"]
    model.save_pretrained(tmp_path / "m")
    for suite in ("answers", "nlvr"):
        main(f"--model {tmp_path}/m --suite {suite} --data.path {folder} --out {tmp_path}/{suite}".split())
        assert json.loads((tmp_path / suite / "report.json").read_text())
        assert list((tmp_path / suite).glob("*.png"))


def test_who_knows_is_right(folder):
    source = QuestionShards(folder, "val", boxes=True)
    model = tiny_model(more=[BoxModality()])

    def key(prompt):
        return (prompt[0].content.getpixel((0, 0)), *(segment.content for segment in prompt[1:]))

    truth = {key(source[i][:-1]): source[i][-1].content for i in range(len(source))}
    model.generate = lambda prompts, target, **settings: [
        (*prompt, Segment(target, truth[key(prompt)])) for prompt in prompts
    ]
    figures = questions_report(model, source).figures
    assert {name: value for name, value in figures.items() if name != "questions"} == {
        "answer_accuracy": 1, "name_accuracy": 1, "box_accuracy": 1, "box_mean_iou": 1}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no data at {SHARED}")
def test_published_sets_are_read():
    questions = QuestionShards(str(SHARED / "easy_vqa"), "val", boxes=True)
    assert len(questions) == 4043 + 2 * 431
    statements = StatementShards(str(SHARED / "nlvr"), "val")
    assert len(statements) == 981 and sum(map(statements.truth, range(981))) == 542
