"""Official benchmark files are parsed; errors name corrupt or foreign ones."""

import json
import pickle
from pathlib import Path

import pytest

from unitok.evaluate import benchmark_files

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
REFS, TASKS = DATA / "refs", DATA / "captions" / "tasks"
needs_data = pytest.mark.skipif(not REFS.is_dir(), reason=f"no data at {REFS}")


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_questions(tmp_path):
    row = {"question_id": 1, "image": "a.jpg", "text": "Is there a dog in the image?", "label": "no"}
    found = benchmark_files.read_pope(write(tmp_path / "pope.jsonl", json.dumps(row) + "\n\n"))
    assert found == [benchmark_files.Question("a.jpg", "Is there a dog in the image?", ("no",), 1)]
    questions = {"questions": [{"image_id": 7, "question": "What?", "question_id": 70}]}
    answers = {"annotations": [{"question_id": 70, "answers": [{"answer": "net"}, {"answer": "nets"}]}]}
    found = benchmark_files.read_vqa(
        write(tmp_path / "q.json", questions), write(tmp_path / "a.json", answers)
    )
    assert found == [benchmark_files.Question("7", "What?", ("net", "nets"), 70)]


def test_captions_and_objects(tmp_path):
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": 1, "caption": "two"}],
    }
    assert benchmark_files.read_captions(write(tmp_path / "c.json", coco)) == {"a.jpg": ["one", "two"]}
    results = [{"image_id": 3, "caption": "x"}]
    assert benchmark_files.read_captions(write(tmp_path / "r.json", results)) == {"3": ["x"]}
    coco["annotations"] = [{"image_id": 2, "category_id": 9}] * 2
    coco["categories"] = [{"id": 9, "name": "dog"}]
    assert benchmark_files.read_objects(write(tmp_path / "i.json", coco)) == {
        "a.jpg": set(),
        "b.jpg": {"dog"},
    }


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
    found = benchmark_files.read_refs(path, instances, split="testA")
    assert [one.text for one in found] == ["left dog", "the dog"]
    assert found[0] == benchmark_files.Expression("a.jpg", "left dog", (1, 2, 4, 6), 40, 30)
    assert benchmark_files.read_refs(path, instances, split="testB") == []


def test_a_pickle_that_names_code_is_refused(tmp_path):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps([Path("x")]))
    with pytest.raises(ValueError, match=r"refs.p: .*only plain lists"):
        benchmark_files.read_refs(path, write(tmp_path / "i.json", INSTANCES))


@pytest.mark.parametrize("content", ['{"image": "a.jpg"}', "no json", "[1]"])
def test_a_foreign_file_is_named(tmp_path, content):
    with pytest.raises(ValueError, match=r"pope.jsonl: "):
        benchmark_files.read_pope(write(tmp_path / "pope.jsonl", content))


ASKED = {"question_id": 1, "image": "a.jpg", "text": "Is there a dog in the image?", "label": "yes"}


@pytest.mark.parametrize("label", ["yes", "Yes", " YES\n"])
def test_labels_are_read_without_case_and_white_space(tmp_path, label):
    (one,) = benchmark_files.read_pope(write(tmp_path / "pope.jsonl", json.dumps(ASKED | {"label": label})))
    assert one.answers == ("yes",)


def test_lines_may_be_a_list_and_begin_with_a_byte_order_mark(tmp_path):
    rows = [ASKED, ASKED | {"question_id": 2, "label": "no"}]
    lines = write(tmp_path / "pope.jsonl", "\ufeff" + "\r\n".join(map(json.dumps, rows)))
    listed = write(tmp_path / "pope.json", "\ufeff" + json.dumps(rows, indent=1))
    assert (
        benchmark_files.read_pope(lines) == benchmark_files.read_pope(listed)
        and len(benchmark_files.read_pope(lines)) == 2
    )


QUESTIONS = {"questions": [{"image_id": 7, "question": "What?", "question_id": 12}]}
ANSWER = {"question_id": 12, "answers": [{"answer": "net"}]}
IMAGES = [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}]
EXPRESSED = {"sent": "a dog", "image": "a.jpg", "width": 40, "height": 30}


def lines(*rows):
    return "\n".join(map(json.dumps, rows))


FAULTY = {
    "a label that is neither": (benchmark_files.read_pope, [lines(ASKED, ASKED | {"label": "maybe"})],
                                r"0\.json: line 2: .*label must be yes or no, got 'maybe'"),
    "a line that lacks something": (benchmark_files.read_pope, [lines(ASKED, {"image": "a.jpg"})],
                                    r"0\.json: line 2: 'label' is missing"),
    "a line that is no object": (benchmark_files.read_pope, [lines(ASKED, [1])],
                                 r"line 2: .*JSON object, got a list"),
    "an item that is no object": (benchmark_files.read_pope, [[ASKED, 1]],
                                  r"item 2: .*JSON object, got a int"),
    "a box of width and height": (benchmark_files.read_expressions,
                                  [lines(EXPRESSED | {"bbox_xyxy": [30, 20, 5, 5]})],
                                  r"line 1: .*box must be left, top, right, bottom"),
    "no annotation": (benchmark_files.read_vqa, [QUESTIONS, {"annotations": []}],
                      r"1\.json: no annotation for question 12 of .*0\.json"),
    "no answers": (benchmark_files.read_vqa, [QUESTIONS, {"annotations": [ANSWER | {"answers": []}]}],
                   r"question 12 has no answers"),
    "annotated twice": (benchmark_files.read_vqa,
                        [QUESTIONS, {"annotations": [ANSWER, ANSWER | {"answers": []}]}],
                        r"1\.json: .*duplicate question_id 12"),
    "a list of questions": (benchmark_files.read_vqa, [[], {"annotations": [ANSWER]}],
                            r"0\.json: .*a JSON object with 'questions', got a list"),
    "a caption of no image": (benchmark_files.read_captions,
                              [{"images": IMAGES, "annotations": [{"image_id": 2, "caption": "x"}]}],
                              r"0\.json: .*2 is not among the images"),
    "two images of one number": (benchmark_files.read_captions,
                                 [{"images": [*IMAGES, IMAGES[0] | {"file_name": "b"}], "annotations": []}],
                                 r"duplicate id 1"),
    "two images of one name": (benchmark_files.read_captions,
                               [{"images": [*IMAGES, IMAGES[0] | {"id": 2}], "annotations": []}],
                               r"duplicate file_name 'a.jpg'"),
    "an unknown category": (benchmark_files.read_objects,
                            [{"images": IMAGES, "categories": [],
                              "annotations": [{"image_id": 1, "category_id": 9}]}],
                            r"9 is not among the categories"),
    "a ref of no box": (benchmark_files.read_refs, [[REF], INSTANCES | {"annotations": []}],
                        r"0\.json: .*5 is not among the annotations of .*1\.json"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY)
def test_what_would_give_wrong_figures_is_refused_by_its_place(tmp_path, fault):
    read, contents, named = FAULTY[fault]
    files = [write(tmp_path / f"{i}.json", content) for i, content in enumerate(contents)]
    with pytest.raises(ValueError, match=named) as error:
        read(*files)
    assert "\n" not in str(error.value)


@needs_data
def test_the_official_samples_are_read():
    pope = benchmark_files.read_pope(REFS / "pope" / "coco_pope_random.head300.jsonl")
    assert len(pope) == 300 and {q.answers for q in pope} == {("yes",), ("no",)}
    fixtures = REFS / "allennlp_fixtures"
    vqa = benchmark_files.read_vqa(fixtures / "vqav2_questions.json", fixtures / "vqav2_annotations.json")
    assert len(vqa) == 3 and "net" in vqa[0].answers
    expressions = benchmark_files.read_expressions(REFS / "refcocos" / "refcocos_test.jsonl")
    assert len(expressions) == 499 and any(e.box is None for e in expressions)
    results = REFS / "coco_caption" / "captions_val2014_fakecap_results.json"
    assert all(len(texts) == 1 for texts in benchmark_files.read_captions(results).values())


@needs_data
def test_the_tasks_of_the_captions_are_read():
    captions = benchmark_files.read_captions(DATA / "captions" / "captions_dev.json")
    assert len(captions) == 87 and sum(map(len, captions.values())) == 435
    instances = DATA / "captions" / "instances_dev.json"
    assert "person" in benchmark_files.read_objects(instances)["000000000872.jpg"]
    plain = benchmark_files.read_refs(TASKS / "refs_prog.json", instances)
    assert plain == benchmark_files.read_refs(TASKS / "refs(prog).p", instances) and len(plain) == 136
    assert len(benchmark_files.read_pope(TASKS / "pope_style.jsonl")) == 356
    assert len(benchmark_files.read_vqa(TASKS / "vqa_questions.json", TASKS / "vqa_annotations.json")) == 591
    assert len(benchmark_files.read_expressions(TASKS / "refs_human.jsonl")) == 11
