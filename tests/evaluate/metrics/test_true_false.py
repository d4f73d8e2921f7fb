"""Answers, yes or no, statements and labels are scored as by the official scripts."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.evaluate.classification import ClassificationScores, classification_scores, labels_report
from unitok.evaluate.metrics.pope import YesNo, pope, says_yes
from unitok.evaluate.metrics.true_false import TrueFalseScores, true_false_scores
from unitok.evaluate.metrics.vqa import normalise, vqa_accuracy
from unitok.evaluate.report import JudgedSet

OFFICIAL = json.loads(Path(__file__).with_name("vqa_official.json").read_text())
"""Random answers with what GT-Vision-Lab/VQA's vqaEval.py makes of them."""


def test_equal_to_the_official_vqa_script_on_two_hundred_random_cases():
    assert len(OFFICIAL) == 200
    for case in OFFICIAL:
        assert normalise(case["answer"]) == case["normalised"]
        assert vqa_accuracy(case["answer"], case["people"]) == pytest.approx(case["accuracy"], abs=1e-9)


@pytest.mark.parametrize("agreeing, accuracy", [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_three_of_ten_people_who_agree_are_nearly_enough(agreeing, accuracy):
    people = ["Two dogs."] * agreeing + [f"answer {i}" for i in range(10 - agreeing)]
    answer = "2 dogs" if agreeing < 10 else "Two dogs."
    assert vqa_accuracy(answer, people) == pytest.approx(accuracy)


def test_where_all_people_say_the_same_an_answer_is_that_to_the_letter():
    assert vqa_accuracy("yes", ["yes"] * 10) == 1 and vqa_accuracy("Yes", ["yes"] * 10) == 0


NORMAL = {
    "The red, blue and green ones!": "red blue and green ones",
    "1,000 men": "1000 men",
    "isnt": "isn't",
    "none": "0",
    "couldntve": "couldntve",
    "wouldnt've": "wouldn't've",
    "4.5 p.m.": "4.5 pm",
    "black/white": "black white",
    "black / white": "black white",
    "t-shirt": "t shirt",
    "(a)": "",
}


@pytest.mark.parametrize("answer", NORMAL)
def test_normal_answers(answer):
    assert normalise(answer) == NORMAL[answer]


def test_nobody_to_compare_with_is_refused():
    with pytest.raises(ValueError, match="got none"):
        vqa_accuracy("yes", [])


@pytest.mark.parametrize(
    "answer, yes",
    [("Yes", True), ("no", False), ("No, there is not.", False), ("There is not one", False), ("", True),
     ("Yes. There is no dog", True), ("none", True), ("NO", True), ("cannot", True), ("no,", False)],
)  # fmt: skip
def test_a_yes_is_what_does_not_deny(answer, yes):
    assert says_yes(answer) is yes


def test_pope_by_hand():
    answers, truth = [True, True, True, False, False], [True, True, False, True, False]
    assert pope(answers, truth) == pytest.approx(YesNo(3 / 5, 2 / 3, 2 / 3, 2 / 3, 3 / 5))
    assert pope([False], [False]) == YesNo(1, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="got 2 answers to 1"):
        pope([True, False], [True])


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_pope_swaps_precision_and_recall_with_the_sides(pairs):
    a, b = map(list, zip(*pairs, strict=True))
    one, other = pope(a, b), pope(b, a)
    assert (one.precision, one.recall) == (other.recall, other.precision)
    assert one.accuracy == other.accuracy and one.f1 == other.f1


def test_a_sentence_is_consistent_where_it_is_judged_rightly_on_all_its_pictures():
    scores = true_false_scores([True, True, False, True], [True, False, False, True], ["a", "a", "b", "b"])
    assert scores == TrueFalseScores(0.75, 0.5)
    with pytest.raises(ValueError, match="2 truths"):
        true_false_scores([True], [True, False], ["a"])


def test_classification_by_hand():
    shares = [{"a": 0.6, "b": 0.4}, {"a": 0.6, "b": 0.4}, {"a": 0.9, "b": 0.1}]
    assert classification_scores(shares, ["a", "b", "a"]) == pytest.approx(
        ClassificationScores(2 / 3, 1, 1 / 2)
    )
    many = [{str(i): 1 / (i + 1) for i in range(9)}] * 2
    assert classification_scores(many, ["4", "5"]).top5 == 0.5
    with pytest.raises(ValueError, match="labels c"):
        classification_scores(shares[:1], ["c"])


def test_labels_are_all_captions_and_are_chosen_by_likelihood():
    model, names = tiny_model(), ["red", "blue", "green"]
    judged_set = JudgedSet(
        [Image.new("RGB", (12, 8), name) for name in names], names, lambda text, i: text == names[i]
    )
    report = labels_report(model, judged_set, count=2)
    shares = model.classify(judged_set.images[:2], sorted(names))
    right = [max(share, key=share.get) == name for share, name in zip(shares, names, strict=False)]
    assert report.figures["labels"] == 3 and report.figures["label_top1"] == sum(right) / 2
    assert report.figures["label_top5"] == 1 and report.sheets["labels"].width > 12
