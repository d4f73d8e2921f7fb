"""Caption metrics equal pycocoevalcap's, and captions are tokenised as it counts words."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitok.evaluate.metrics.caption_words import caption_words
from unitok.evaluate.metrics.captioning import bleu, caption_scores, cider_d, rouge_l

WORDS = [
    "a",
    "the",
    "red",
    "blue",
    "cat",
    "dog",
    "on",
    "of",
    "sits",
    "table",
    "two",
    "stands",
    "near",
    "grass",
    "and",
    "big",
    "'s",
]


def corpus(seed):
    """One to twelve images: a caption of 0 to 14 words and one to five references."""
    rng = random.Random(seed)
    images = rng.randint(1, 12)
    few = rng.sample(WORDS, rng.randint(2, len(WORDS)))

    def text(least):
        return " ".join(rng.choice(few) for _ in range(rng.randint(least, 14)))

    references = [[text(1) for _ in range(rng.randint(1, 5))] for _ in range(images)]
    copied = [rng.choice(texts) if rng.random() < 0.2 else text(0) for texts in references]
    return copied, references


@pytest.mark.parametrize("metric", ["bleu", "rouge", "cider"])
def test_equal_to_pycocoevalcap_on_two_hundred_random_corpora(metric):
    module = pytest.importorskip(f"pycocoevalcap.{metric}.{metric}", reason="the oracle is not installed")
    for seed in range(200):
        captions, references = corpus(seed)
        oracle = getattr(module, metric.capitalize())()
        options = {"verbose": 0} if metric == "bleu" else {}
        total, each = oracle.compute_score(
            dict(enumerate(references)), {i: [text] for i, text in enumerate(captions)}, **options
        )
        if metric == "bleu":
            assert bleu(captions, references) == pytest.approx(total, abs=1e-9)
        else:
            ours = {"rouge": rouge_l, "cider": cider_d}[metric](captions, references)
            assert ours == pytest.approx(list(each), abs=1e-9)
            assert sum(ours) / len(ours) == pytest.approx(float(total), abs=1e-9)


def test_by_hand():
    assert bleu(["a b c d"], [["a b c d"]]) == pytest.approx((1, 1, 1, 1), abs=1e-8)
    assert bleu(["a b"], [["a b c d"]])[0] == pytest.approx(0.36787944, abs=1e-8)  # exp(1 - 4 / 2)
    assert bleu(["a a a"], [["a b c"]])[0] == pytest.approx(1 / 3, abs=1e-8)
    assert rouge_l(["a b c"], [["a x c d"]]) == pytest.approx([2.44 * (2 / 3) * 0.5 / (0.5 + 1.44 * 2 / 3)])
    assert cider_d(["a b c d", "x"], [["a b c d"], ["y"]]) == pytest.approx([10, 0])


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_scores_stay_in_range_and_the_truth_scores_best(seed):
    captions, references = corpus(seed)
    scores, best = (
        caption_scores(captions, references),
        caption_scores([t[0] for t in references], references),
    )
    assert all(0 <= value <= 1 + 1e-9 for value in (*scores.bleu, scores.rouge_l))
    assert 0 <= scores.cider_d <= 10 + 1e-9
    assert best.rouge_l == pytest.approx(1) and best.bleu[0] == pytest.approx(1)


@pytest.mark.parametrize(
    "captions, references", [([], []), (["a"], []), (["a"], [[]]), (["a", "b"], [["a"]])]
)
def test_what_has_no_reference_is_refused(captions, references):
    with pytest.raises(ValueError, match="lists of references"):
        caption_scores(captions, references)


CUT = {  # as CoreNLP 3.4.1 with pycocoevalcap's list of punctuation cuts them
    "A man's dog (brown) isn't 3,000 years-old; it's 5.5 ft. tall!":
        "a man 's dog -lrb- brown -rrb- is n't 3,000 years-old it 's 5.5 ft. tall",
    'The U.S. flag -- don\'t "touch" it...': "the u.s. flag do n't touch it",
    "T-shirts & jeans: $5 can't cannot gonna / 10%  the Dr. Smith, 7 o'clock.":
        "t-shirts & jeans $ 5 ca n't can not gon na / 10 % the dr. smith 7 o'clock",
    "café naïve “quote” it’s — dash": "café naïve quote it 's dash",
    "man,woman and/or 1/2 2:30 5th #1": "man woman and/or 1/2 2:30 5th # 1",
    "I'll we've they're I'm he'd hasn't": "i 'll we 've they 're i 'm he 'd has n't",
    "[x] {y} two\ndogs": "-lsb- x -rsb- -lcb- y -rcb- two dogs",
    " \n .": "",
}  # fmt: skip


@pytest.mark.parametrize("caption", CUT)
def test_captions_are_cut_as_the_treebank_does(caption):
    assert caption_words(caption) == CUT[caption]


@settings(deadline=None)
@given(st.text())
def test_any_text_is_cut_into_lower_case_words_one_space_apart(text):
    words = caption_words(text)
    assert words == " ".join(words.split()) == words.lower()
