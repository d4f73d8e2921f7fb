"""What is said of a training, each by its cause."""

from dataclasses import replace

import pytest

from unitok.training.verdicts import Findings, forgetting_verdict, learns_still, verdicts

FINE = Findings(
    curve=[(100, 3.0), (200, 2.0), (300, 1.6), (400, 1.55), (500, 1.54)], codebook_size=512, usage=0.9,
    psnr=30.0, cell=8, told_apart=0.95, leaked=0, held_out=20, passes=40.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ({}, "nothing stands out"),
        ({"curve": [(100, 3.0), (200, 1.67), (300, 2.25)]}, "learned by heart after step 200: since then"),
        ({"usage": 0.2}, "codes in use 0.20 of 512: 256 would do"),
        ({"psnr": 19.8}, "blurred: 19.8 dB; cells of 4 pixels in place of 8"),
        ({"told_apart": 0.52}, "captions ignored: a text suits its own image better than another in 52%"),
        ({"leaked": 3}, "leaked: 3 of 20 held-out samples show images of training samples"),
        (
            {"curve": [(1, 3.0), (2, 2.6), (3, 2.2), (4, 1.8), (5, 1.4)]},
            "still learning when the time",
        ),
    ],
)
def test_each_cause_has_its_sentence_and_no_other(cause, said):
    (sentence,) = verdicts(replace(FINE, **cause))
    assert sentence.startswith(said)


def test_the_gravest_comes_first():
    said = verdicts(replace(FINE, leaked=1, usage=0.1, psnr=15.0))
    assert [sentence.split(":")[0].split(" ")[0] for sentence in said] == ["leaked", "codes", "blurred"]


def test_without_captions_or_validations_nothing_is_claimed():
    assert verdicts(replace(FINE, told_apart=None, curve=[])) == verdicts(FINE)


def test_three_validations_are_too_few_to_tell_whether_it_learns_still():
    assert not learns_still([(1, 3.0), (2, 2.0), (3, 1.0)])


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ({"loss/text": 0.28, "caption_accuracy": 0.96}, "loss/text rose from 0.250 to 0.280"),
        ({"loss/text": 0.24, "caption_accuracy": 0.90}, "caption_accuracy fell from 0.980 to 0.900"),
    ],
)
def test_a_risen_loss_and_a_fallen_accuracy_are_forgetting(after, told):
    before = {"loss/text": 0.25, "loss/image": 0.99, "caption_accuracy": 0.98}
    said = forgetting_verdict(before, {"loss/image": 1.0, **after})
    what_helps = "mix its data in (docs/your-data.md, Fine-tuning without forgetting)"
    assert said == f"the origin's {told}: it forgets; {what_helps}"


def test_what_is_kept_is_told_as_well():
    before = {"loss/text": 0.25, "loss/image": 0.99, "caption_accuracy": 0.98}
    said = forgetting_verdict(before, {"loss/text": 0.24, "loss/image": 0.9901, "caption_accuracy": 0.96})
    changes = "loss/text fell from 0.250 to 0.240, loss/image is still 0.990, caption_accuracy fell from"
    assert said == f"the origin's {changes} 0.980 to 0.960: nothing is forgotten"
