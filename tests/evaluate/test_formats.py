"""The official files are read as they are; what is damaged or foreign is named."""

import json
import pickle
from pathlib import Path

import pytest

from unitok.evaluate import formats

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
REFS, TASKS = DATA / "refs", DATA / "captions" / "tasks"
needs_data = pytest.mark.skipif(not REFS.is_dir(), reason=f"no data at {REFS}")


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_questions(tmp_path):
    row = {"question_id": 1, "image": "a.jpg", "text": "Is there a dog in the image?", "label": "no"}
    found = formats.read_pope(write(tmp_path / "pope.jsonl", json.dumps(row) + "\n\n"))
    assert found == [formats.Question("a.jpg", "Is there a dog in the image?", ("no",), 1)]
    questions = {"questions": [{"image_id": 7, "question": "What?", "question_id": 70}]}
    answers = {"annotations": [{"question_id": 70, "answers": [{"answer": "net"}, {"answer": "nets"}]}]}
    found = formats.read_vqa(write(tmp_path / "q.json", questions), write(tmp_path / "a.json", answers))
    assert found == [formats.Question("7", "What?", ("net", "nets"), 70)]


def test_captions_and_objects(tmp_path):
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": 1, "caption": "two"}],
    }
    assert formats.read_captions(write(tmp_path / "c.json", coco)) == {"a.jpg": ["one", "two"]}
    results = [{"image_id": 3, "caption": "x"}]
    assert formats.read_captions(write(tmp_path / "r.json", results)) == {"3": ["x"]}
    coco["annotations"] = [{"image_id": 2, "category_id": 9}] * 2
    coco["categories"] = [{"id": 9, "name": "dog"}]
    assert formats.read_objects(write(tmp_path / "i.json", coco)) == {"a.jpg": set(), "b.jpg": {"dog"}}


INSTANCES = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
    "annotations": [{"id": 5, "bbox": [1, 2, 3, 4]}],
}
REF = {"ann_id": 5, "image_id": 1, "split": "testA", "sentences": [{"sent": "left dog"}, {"sent": "the dog"}]}


@pytest.mark.parametrize("name", ["refs.p", "refs.json"])
def test_refs_are_read_from_a_plain_pickle_and_from_json(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps([REF], protocol=2)) if name == "refs.p" else write(path, [REF])
    instances = write(tmp_path / "instances.json", INSTANCES)
    found = formats.read_refs(path, instances, split="testA")
    assert [one.text for one in found] == ["left dog", "the dog"]
    assert found[0] == formats.Expression("a.jpg", "left dog", (1, 2, 4, 6), 40, 30)
    assert formats.read_refs(path, instances, split="testB") == []


def test_a_pickle_that_names_code_is_refused(tmp_path):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps([Path("x")]))
    with pytest.raises(ValueError, match=r"refs.p: .*only plain lists"):
        formats.read_refs(path, write(tmp_path / "i.json", INSTANCES))


def test_statements_of_one_sentence_belong_together(tmp_path):
    rows = [{"sentence": "s", "label": label, "identifier": f"dev-850-{i}-0"}
            for i, label in enumerate(("True", "False"))]  # fmt: skip
    one, two = formats.read_nlvr2(write(tmp_path / "n.jsonl", "\n".join(map(json.dumps, rows))))
    assert one.truth and not two.truth and one.sentence == two.sentence
    assert two.pictures == ("dev-850-1-img0.png", "dev-850-1-img1.png")


@pytest.mark.parametrize("content", ['{"image": "a.jpg"}', "no json", "[1]"])
def test_a_foreign_file_is_named(tmp_path, content):
    with pytest.raises(ValueError, match=r"pope.jsonl: "):
        formats.read_pope(write(tmp_path / "pope.jsonl", content))


@needs_data
def test_the_official_samples_are_read():
    pope = formats.read_pope(REFS / "pope" / "coco_pope_random.head300.jsonl")
    assert len(pope) == 300 and {q.answers for q in pope} == {("yes",), ("no",)}
    fixtures = REFS / "allennlp_fixtures"
    vqa = formats.read_vqa(fixtures / "vqav2_questions.json", fixtures / "vqav2_annotations.json")
    assert len(vqa) == 3 and "net" in vqa[0].answers
    assert formats.read_gqa(fixtures / "gqa_questions.json")[0].answers == ("picture",)
    assert formats.read_visual_genome(fixtures / "visual_genome_qa.json")[0].answers == ("Sailboats.",)
    assert len({s.sentence for s in formats.read_nlvr2(fixtures / "nlvr2_tiny_dev.jsonl")}) >= 1
    expressions = formats.read_expressions(REFS / "refcocos" / "refcocos_test.jsonl")
    assert len(expressions) == 499 and any(e.box is None for e in expressions)
    results = REFS / "coco_caption" / "captions_val2014_fakecap_results.json"
    assert all(len(texts) == 1 for texts in formats.read_captions(results).values())


@needs_data
def test_the_tasks_of_the_captions_are_read():
    captions = formats.read_captions(DATA / "captions" / "captions_dev.json")
    assert len(captions) == 87 and sum(map(len, captions.values())) == 435
    instances = DATA / "captions" / "instances_dev.json"
    assert "person" in formats.read_objects(instances)["000000000872.jpg"]
    plain = formats.read_refs(TASKS / "refs_prog.json", instances)
    assert plain == formats.read_refs(TASKS / "refs(prog).p", instances) and len(plain) == 136
    assert len(formats.read_pope(TASKS / "pope_style.jsonl")) == 356
    assert len(formats.read_vqa(TASKS / "vqa_questions.json", TASKS / "vqa_annotations.json")) == 591
    assert len(formats.read_expressions(TASKS / "refs_human.jsonl")) == 11
