"""Order and dropout depend on (seed, epoch, index) alone, and have the shares that were asked for."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unitok.data.keyed_random import permutation, uniform
from unitok.data.tasks import arrange, check_task, learn_one
from unitok.document import Codes

TEXT = Codes("text", torch.tensor([1, 2]), (2,))
IMAGE = Codes("image", torch.tensor([3, 4, 5, 6]), (2, 2), learn=False)
PAIR = [TEXT, IMAGE]


def order(index, *, task="both", captions=0.5, condition_dropout=0.0, seed=0, epoch=0, codes=PAIR):
    options = {"task": task, "captions": captions, "condition_dropout": condition_dropout}
    options |= {"seed": seed, "epoch": epoch}
    return [c.modality for c in arrange(codes, index=index, **options)]


def test_captions_come_after_the_picture_and_pictures_after_the_text():
    assert order(0, task="draw") == ["text", "image"]
    assert order(0, task="caption") == ["image", "text"]


def test_both_orders_are_equally_frequent_and_change_with_seed_and_epoch():
    shares = [
        sum(order(i, seed=seed, epoch=epoch)[0] == "text" for i in range(4000)) / 4000
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert all(abs(share - 0.5) < 0.04 for share in shares)
    orders = {tuple(order(i, seed=s, epoch=e)[0] for i in range(40)) for s in (0, 1) for e in (0, 1)}
    assert len(orders) == 4
    captions = sum(order(i, captions=0.7)[0] == "image" for i in range(4000)) / 4000
    assert abs(captions - 0.7) < 0.04


@pytest.mark.parametrize("task", ["caption", "draw", "both"])
def test_the_condition_is_dropped_as_often_as_asked_whatever_the_order(task):
    learned = [TEXT, replace(IMAGE, learn=True)]
    kept = [order(i, task=task, condition_dropout=0.25, codes=learned) for i in range(4000)]
    alone = [index for index, names in enumerate(kept) if len(names) == 1]
    assert abs(len(alone) / 4000 - 0.25) < 0.03
    assert all(kept[i] == order(i, task=task)[-1:] for i in alone)
    last = [kept[i][0] == "image" for i in alone]
    assert abs(sum(last) / len(last) - {"caption": 0, "draw": 1, "both": 0.5}[task]) < 0.07


def test_what_is_not_learned_is_never_left_alone():
    kept = [order(i, task="draw", condition_dropout=0.9) for i in range(100)]
    assert kept == [["text", "image"]] * 100


@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 10**7))
def test_a_draw_is_always_the_same_and_below_one(seed, epoch, index):
    values = [uniform(seed, epoch, index, stream) for stream in ("task", "condition", "task")]
    assert values[0] == values[2] != values[1]
    assert all(0 <= value < 1 for value in values)


def test_draws_are_pinned_so_that_old_runs_can_be_repeated():
    assert uniform(0, 0, 0, "task") == pytest.approx(0.62840828111703, abs=1e-15)
    assert permutation(8, seed=0, epoch=0).tolist() == [4, 0, 6, 3, 5, 2, 7, 1]


@given(st.integers(0, 200), st.integers(-3, 2**40), st.integers(0, 5))
def test_a_permutation_has_each_number_once(count, seed, epoch):
    assert sorted(permutation(count, seed=seed, epoch=epoch).tolist()) == list(range(count))


def test_arrange_keeps_codes_and_learn_and_leaves_its_input_alone():
    codes = [TEXT, IMAGE]
    image, text = arrange(codes, task="caption", condition_dropout=0.0, seed=0, epoch=0, index=0)
    assert image is IMAGE and text is TEXT and codes == [TEXT, IMAGE]


def test_what_is_no_pair_stays_as_it_is_and_with_chat_pairs_do_too():
    assert order(0, codes=[TEXT], condition_dropout=0.9) == ["text"]
    assert order(0, codes=[]) == []
    for codes in ([TEXT, IMAGE, TEXT], [IMAGE, TEXT], [TEXT, TEXT]):
        for task in ("caption", "draw", "both", "chat"):
            names = [code.modality for code in codes]
            assert all(order(i, codes=codes, task=task, condition_dropout=0.0) == names for i in range(9))
    assert all(order(i, task="chat", condition_dropout=0.9) == ["text", "image"] for i in range(9))


def test_a_task_drops_all_or_its_words_only_where_its_answer_is_learned_without_a_prompt():
    question, picture = replace(TEXT, learn=False), replace(IMAGE, learn=True)
    options = {"task": "both", "condition_dropout": 0.3, "unprompted": ["image"], "seed": 0, "epoch": 0}
    edits = [arrange([IMAGE, question, picture], index=i, **options) for i in range(2000)]
    assert abs(sum(edit == [picture] for edit in edits) / 2000 - 0.15) < 0.03
    assert (
        abs(sum(edit == [IMAGE, picture] for edit in edits) / 2000 - 0.15) < 0.03
    )  # without the instruction
    assert {len(edit) for edit in edits} == {1, 2, 3}
    assert all(len(arrange([IMAGE, question, TEXT], index=i, **options)) == 3 for i in range(200))


@pytest.mark.parametrize(("task", "dropout", "named"), [("sing", 0.0, "'sing'"), ("both", 1.0, "1.0")])
def test_wrong_settings_are_refused(task, dropout, named):
    with pytest.raises(ValueError, match=named):
        check_task(task, dropout)


def test_the_condition_of_another_modality_is_dropped_where_it_is_learned_unprompted():
    """So guidance can be trained for a modality of one's own; texts and images are as before."""
    beat = Codes("beat", torch.tensor([1]), (1,))
    for last, unprompted, alone in ((beat, ("beat",), 1), (beat, ("text",), 2), (TEXT, ("text",), 2)):
        options = {"task": "both", "condition_dropout": 0.999, "seed": 0, "epoch": 0, "index": 3}
        assert len(arrange([TEXT, last], unprompted=unprompted, **options)) == alone


@given(st.lists(st.booleans(), max_size=6), st.integers(0, 20))
def test_one_answer_is_learned_after_all_that_is_before_it(learned, epoch):
    document = [Codes("text", torch.tensor([n]), (1,), learn=learn) for n, learn in enumerate(learned)]
    kept = learn_one(document, seed=0, epoch=epoch, index=3)
    assert kept == learn_one(document, seed=0, epoch=epoch, index=3)
    assert [one.codes.item() for one in kept] == list(range(len(kept)))
    if any(learned):
        assert [one.learn for one in kept] == [False] * (len(kept) - 1) + [True] and learned[len(kept) - 1]
    else:
        assert kept == document


def test_each_answer_is_drawn_as_often_and_of_a_pair_the_last():
    turns = [Codes("text", torch.tensor([n]), (1,), learn=n % 2 == 1) for n in range(6)]
    lengths = [len(learn_one(turns, seed=0, epoch=0, index=index)) for index in range(300)]
    assert all(70 < lengths.count(length) < 130 for length in (2, 4, 6))
    pair = [replace(one, learn=True) for one in turns[:2]]
    assert [one.learn for one in learn_one(pair, seed=0, epoch=0, index=0)] == [False, True]


def test_what_is_not_learned_unprompted_is_never_first_and_learned_nor_alone():
    options = {"task": "both", "condition_dropout": 0.4, "unprompted": ["image"], "seed": 0, "epoch": 0}
    kinds, learned = set(), replace(IMAGE, learn=True)
    for i in range(500):
        kinds.add(tuple((c.modality, c.learn) for c in arrange([TEXT, learned], index=i, **options)))
    drawn = (("text", False), ("image", True))
    assert kinds == {drawn, (("image", True), ("text", True)), (("image", True),)}
