"""Soft VQA accuracy against several human answers. Knows no model and no images."""

import re
from collections.abc import Sequence

FULL_SCORE = 3  # people who must agree for the full score
ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
           "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}  # fmt: skip
SPELLINGS = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't "
    "haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't "
    "mightn't've must've mustn't needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've "
    "shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll "
    "someone's something'd something'd've something'll that's there'd there'd've there're there's they'd "
    "they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've "
    "when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't "
    "would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
)
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_STOP = re.compile(r"\.(?!\d)")
_THOUSANDS = re.compile(r"\d,\d")
_MAX_STOPS = 32  # removed at most: the official script passes a regex flag as the count


def _without_one_apostrophe(words: str) -> dict[str, str]:
    """Contractions by their spellings with one apostrophe missing."""
    return {
        word[:i] + word[i + 1 :]: word
        for word in words.split()
        for i, letter in enumerate(word)
        if letter == "'"
    }


CONTRACTIONS = _without_one_apostrophe(SPELLINGS) | {"somebody'd": "somebodyd"}  # as in the official list


def normalise(answer: str) -> str:
    """Normalises an answer as the official evaluation does: without punctuation and articles, in lower case,
    numbers up to ten as digits, contractions with their apostrophes.

    Source: processPunctuation and processDigitArticle of GT-Vision-Lab/VQA's vqaEval.py, with its quirks: a
    punctuation mark becomes a space only if the answer has no space beside any such mark, and no comma
    between digits.

    Example:
        >>> normalise("The two dogs, dont you think?"), normalise("10:30 a.m."), normalise("black/white")
        ("2 dogs don't you think", '10:30 am', 'black white')
    """
    words = [NUMBERS.get(word, word) for word in _without_punctuation(answer).lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def _without_punctuation(answer: str) -> str:
    has_thousands, result = _THOUSANDS.search(answer) is not None, answer
    for mark in PUNCTUATION:
        beside_space = f"{mark} " in answer or f" {mark}" in answer
        result = result.replace(mark, "" if beside_space or has_thousands else " ")
    return _STOP.sub("", result, count=_MAX_STOPS)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """Soft accuracy of an answer, 0..1: min(1, agreeing / 3), averaged over leaving out each person.

    Answers are normalised only if the people disagree, as in the official script; otherwise an answer must
    match exactly. With a single person the score is 0.

    Source: Antol et al. 2015, section 5; evaluate of GT-Vision-Lab/VQA's vqaEval.py. Raises ValueError
    without people.
    """
    if not people:
        raise ValueError("people must have at least one answer, got none")
    answer, people = _strip(answer), [_strip(text) for text in people]
    if len(set(people)) > 1:
        answer, people = normalise(answer), [normalise(text) for text in people]
    agreeing = people.count(answer)
    scores = [min(1.0, (agreeing - (text == answer)) / FULL_SCORE) for text in people]
    return sum(scores) / len(scores)


def _strip(answer: str) -> str:
    return answer.replace("\n", " ").replace("\t", " ").strip()
