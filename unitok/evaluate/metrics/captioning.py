"""Caption metrics against references: BLEU, ROUGE-L, CIDEr-D. Knows no model and no images.

Captions are words separated by single spaces, as `caption_words` returns them. The scores equal those of
pycocoevalcap's `Bleu`, `Rouge` and `Cider` (which is CIDEr-D) on the same words.
"""

from collections import Counter
from collections.abc import Sequence
from math import exp, log, prod, sqrt
from typing import NamedTuple

from unitok.evaluate.metrics.caption_words import caption_words

MAX_N = 4  # words of an n-gram
BETA = 1.2  # of ROUGE-L: recall counts more
SIGMA = 6.0  # of CIDEr-D's penalty for a different length, in words
TINY, SMALL = 1e-15, 1e-9  # added to counts to avoid division by zero, as in pycocoevalcap

Ngrams = Counter[tuple[str, ...]]


class CaptionScores(NamedTuple):
    """Scores of a corpus: BLEU-1 to BLEU-4 and ROUGE-L in 0..1, CIDEr-D in 0..10."""

    bleu: tuple[float, float, float, float]
    rouge_l: float
    cider_d: float


def caption_scores(captions: Sequence[str], references: Sequence[Sequence[str]]) -> CaptionScores:
    """Scores raw captions, each against the references of its image. Raises ValueError if there are none."""
    _check(captions, references)
    candidates = [caption_words(text) for text in captions]
    references = [[caption_words(text) for text in texts] for texts in references]
    count = len(candidates)
    return CaptionScores(
        bleu(candidates, references),
        sum(rouge_l(candidates, references)) / count,
        sum(cider_d(candidates, references)) / count,
    )


def bleu(captions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, float, float, float]:
    """BLEU-1 to BLEU-4 of a corpus (Papineni et al. 2002, equation 4), 0..1; the brevity penalty uses the
    reference of the nearest length, the shorter of two."""
    _check(captions, references)
    matches, totals, length, reference_length = [0] * MAX_N, [0] * MAX_N, 0, 0
    for caption, texts in zip(captions, references, strict=True):
        words, texts = caption.split(), [text.split() for text in texts]
        length += len(words)
        reference_length += min((abs(len(text) - len(words)), len(text)) for text in texts)[1]
        limits = _max_counts(texts)
        for ngram, count in _ngrams(words).items():
            matches[len(ngram) - 1] += min(count, limits[ngram])
            totals[len(ngram) - 1] += count
    precisions = [(m + TINY) / (t + SMALL) for m, t in zip(matches, totals, strict=True)]
    ratio = (length + TINY) / (reference_length + SMALL)
    brevity = exp(1 - 1 / ratio) if ratio < 1 else 1.0
    one, two, three, four = (brevity * prod(precisions[:n]) ** (1 / n) for n in range(1, MAX_N + 1))
    return one, two, three, four


def rouge_l(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """ROUGE-L of each caption (Lin 2004, equation 4), 0..1: the F-measure of the longest common subsequence,
    of the best precision and the best recall among the references."""
    _check(captions, references)
    return [_rouge_l(caption, texts) for caption, texts in zip(captions, references, strict=True)]


def _rouge_l(caption: str, references: Sequence[str]) -> float:
    words, texts = caption.split(" "), [text.split(" ") for text in references]
    common = [_common_length(words, text) for text in texts]
    precision = max(common) / len(words)
    recall = max(count / len(text) for count, text in zip(common, texts, strict=True))
    if not common or max(common) == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        previous, row = row, [0]
        for i, other in enumerate(b):
            row.append(previous[i] + 1 if word == other else max(previous[i + 1], row[i]))
    return row[-1]


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption (Vedantam et al. 2015, equation 5), 0..10: similarity of its n-grams to those
    of the references, weighted by their rarity among the images of this corpus."""
    _check(captions, references)
    texts_by_image = [[text.split() for text in texts] for texts in references]
    images = Counter(ngram for texts in texts_by_image for ngram in set().union(*map(_ngrams, texts)))
    frequency = _DocumentFrequency(log(len(captions)), images)
    return [
        _cider_d(frequency.tf_idf(caption.split()), [frequency.tf_idf(text) for text in texts])
        for caption, texts in zip(captions, texts_by_image, strict=True)
    ]


class _TfIdf(NamedTuple):
    """TF-IDF weights of a text's n-grams by their length, and the norms of these weights."""

    weights: list[dict[tuple[str, ...], float]]
    norms: list[float]
    length: int


class _DocumentFrequency(NamedTuple):
    """The log of the number of images, and the number of images in which each n-gram occurs."""

    log_images: float
    images: Ngrams

    def tf_idf(self, words: Sequence[str]) -> _TfIdf:
        weights: list[dict[tuple[str, ...], float]] = [{} for _ in range(MAX_N)]
        for ngram, count in _ngrams(words).items():
            weights[len(ngram) - 1][ngram] = count * (self.log_images - log(max(1, self.images[ngram])))
        norms = [sqrt(sum(value**2 for value in by_ngram.values())) for by_ngram in weights]
        return _TfIdf(weights, norms, max(0, len(words) - 1))


def _cider_d(caption: _TfIdf, references: Sequence[_TfIdf]) -> float:
    similarities = [_similarity(caption, text, n) for text in references for n in range(MAX_N)]
    return 10 * sum(similarities) / MAX_N / len(references)


def _similarity(caption: _TfIdf, reference: _TfIdf, n: int) -> float:
    """Clipped cosine similarity of two texts' n-grams, with a penalty on different lengths."""
    weights, norm = reference.weights[n], caption.norms[n] * reference.norms[n]
    product = sum(min(value, weights.get(ngram, 0.0)) * weights.get(ngram, 0.0)
                  for ngram, value in caption.weights[n].items())  # fmt: skip
    penalty = exp(-((caption.length - reference.length) ** 2) / (2 * SIGMA**2))
    return penalty * (product / norm if norm else product)


def _ngrams(words: Sequence[str]) -> Ngrams:
    """Counts of the n-grams of one to four words."""
    return Counter(tuple(words[i : i + n]) for n in range(1, MAX_N + 1) for i in range(len(words) - n + 1))


def _max_counts(texts: Sequence[Sequence[str]]) -> Ngrams:
    """The largest count of each n-gram in one of the texts."""
    counts: Ngrams = Counter()
    for text in texts:
        counts |= _ngrams(text)
    return counts


def _check(captions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not captions or len(captions) != len(references) or not all(references):
        raise ValueError(
            f"got {len(captions)} captions and {len(references)} lists of references; expected one list "
            "each, of one reference or more"
        )
