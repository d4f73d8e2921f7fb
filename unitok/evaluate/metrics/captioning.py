"""Caption metrics against references: BLEU, ROUGE-L, CIDEr-D. Knows no model and no images.

Captions are words with one space between them, as `caption_words` makes them. The figures are those of
pycocoevalcap's `Bleu`, `Rouge` and `Cider` (which is CIDEr-D) on the same words.
"""

from collections import Counter
from collections.abc import Sequence
from math import exp, log, prod, sqrt
from typing import NamedTuple

from unitok.evaluate.metrics.caption_words import caption_words

LONGEST = 4  # words of an n-gram
BETA = 1.2  # of ROUGE-L: recall counts more
SIGMA = 6.0  # of CIDEr-D's penalty for another length, in words
NEVER, BARELY = 1e-15, 1e-9  # added to counts, so that nothing is divided by zero

Grams = Counter[tuple[str, ...]]


class CaptionScores(NamedTuple):
    """Of all captions together: BLEU-1 to -4 and ROUGE-L of 0..1, CIDEr-D of 0..10."""

    bleu: tuple[float, float, float, float]
    rouge_l: float
    cider_d: float


def caption_scores(captions: Sequence[str], references: Sequence[Sequence[str]]) -> CaptionScores:
    """All figures of raw captions, each with its picture's references. Raises ValueError for none."""
    _check(captions, references)
    said = [caption_words(text) for text in captions]
    true = [[caption_words(text) for text in texts] for texts in references]
    return CaptionScores(
        bleu(said, true), sum(rouge_l(said, true)) / len(said), sum(cider_d(said, true)) / len(said)
    )


def bleu(captions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, float, float, float]:
    """BLEU-1 to BLEU-4 of a corpus (Papineni et al. 2002, equation 4), 0..1; of a caption's references the
    one of the nearest length counts for the brevity penalty, the shorter of two."""
    _check(captions, references)
    right, guessed, length, wanted = [0] * LONGEST, [0] * LONGEST, 0, 0
    for caption, texts in zip(captions, references, strict=True):
        words, known = caption.split(), [text.split() for text in texts]
        length += len(words)
        wanted += min((abs(len(text) - len(words)), len(text)) for text in known)[1]
        most = _most(known)
        for gram, count in _grams(words).items():
            right[len(gram) - 1] += min(count, most[gram])
            guessed[len(gram) - 1] += count
    shares = [(r + NEVER) / (g + BARELY) for r, g in zip(right, guessed, strict=True)]
    ratio = (length + NEVER) / (wanted + BARELY)
    brevity = exp(1 - 1 / ratio) if ratio < 1 else 1.0
    one, two, three, four = (brevity * prod(shares[:n]) ** (1 / n) for n in range(1, LONGEST + 1))
    return one, two, three, four


def rouge_l(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """ROUGE-L of each caption (Lin 2004, equation 4), 0..1: the longest common subsequence as an F-measure
    of the best precision and the best recall among the references."""
    _check(captions, references)
    return [_rouge_l(caption, texts) for caption, texts in zip(captions, references, strict=True)]


def _rouge_l(caption: str, references: Sequence[str]) -> float:
    words, known = caption.split(" "), [text.split(" ") for text in references]
    shared = [_common(words, text) for text in known]
    precision = max(shared) / len(words)
    recall = max(count / len(text) for count, text in zip(shared, known, strict=True))
    if not shared or max(shared) == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before, row = row, [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[place]))
    return row[-1]


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption (Vedantam et al. 2015, equation 5), 0..10: how alike its n-grams and those of
    the references are, weighted by how few pictures of this corpus have them."""
    _check(captions, references)
    known = [[text.split() for text in texts] for texts in references]
    pictures = Counter(gram for texts in known for gram in set().union(*map(_grams, texts)))
    rarity = _Rarity(log(len(captions)), pictures)
    return [
        _cider_d(rarity.weigh(caption.split()), [rarity.weigh(text) for text in texts])
        for caption, texts in zip(captions, known, strict=True)
    ]


class _Weighed(NamedTuple):
    """A text's n-grams by their length with term frequency × inverse document frequency, and their norms."""

    weights: list[dict[tuple[str, ...], float]]
    norms: list[float]
    length: int


class _Rarity(NamedTuple):
    """The log of the number of pictures, and in how many of them each n-gram occurs."""

    log_pictures: float
    pictures: Grams

    def weigh(self, words: Sequence[str]) -> _Weighed:
        weights: list[dict[tuple[str, ...], float]] = [{} for _ in range(LONGEST)]
        for gram, count in _grams(words).items():
            weights[len(gram) - 1][gram] = count * (self.log_pictures - log(max(1, self.pictures[gram])))
        norms = [sqrt(sum(value**2 for value in part.values())) for part in weights]
        return _Weighed(weights, norms, max(0, len(words) - 1))


def _cider_d(caption: _Weighed, references: Sequence[_Weighed]) -> float:
    likeness = [_likeness(caption, text, n) for text in references for n in range(LONGEST)]
    return 10 * sum(likeness) / LONGEST / len(references)


def _likeness(caption: _Weighed, reference: _Weighed, n: int) -> float:
    """Clipped cosine of two texts' n-grams, less where their lengths differ."""
    known, norm = reference.weights[n], caption.norms[n] * reference.norms[n]
    product = sum(min(value, known.get(gram, 0.0)) * known.get(gram, 0.0)
                  for gram, value in caption.weights[n].items())  # fmt: skip
    penalty = exp(-((caption.length - reference.length) ** 2) / (2 * SIGMA**2))
    return penalty * (product / norm if norm else product)


def _grams(words: Sequence[str]) -> Grams:
    """How often each n-gram of one to four words occurs."""
    return Counter(tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1))


def _most(texts: Sequence[Sequence[str]]) -> Grams:
    """How often each n-gram occurs in the text that has it most."""
    most: Grams = Counter()
    for text in texts:
        most |= _grams(text)
    return most


def _check(captions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not captions or len(captions) != len(references) or not all(references):
        raise ValueError(
            f"got {len(captions)} captions and {len(references)} lists of references; expected one list "
            "each, of one reference or more"
        )
