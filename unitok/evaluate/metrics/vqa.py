"""Soft VQA accuracy against several human answers. Knows no model and no images."""

import re
from collections.abc import Sequence

ENOUGH = 3  # people who agree with an answer that is wholly right
ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
           "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}  # fmt: skip
WRITTEN_OUT = (
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
_STOPS = 32  # taken out at most: the official script hands a flag where a count belongs


def _one_apostrophe_short(words: str) -> dict[str, str]:
    """Every contraction with one of its apostrophes missing, and how it is written."""
    return {
        word[:place] + word[place + 1 :]: word
        for word in words.split()
        for place, letter in enumerate(word)
        if letter == "'"
    }


CONTRACTIONS = _one_apostrophe_short(WRITTEN_OUT) | {"somebody'd": "somebodyd"}  # as the official list has it


def normalise(answer: str) -> str:
    """An answer as the official evaluation compares it: without punctuation, in lower case, numbers up to
    ten as digits, without articles, contractions with their apostrophes.

    Source: processPunctuation and processDigitArticle of GT-Vision-Lab/VQA's vqaEval.py, its oddities
    included: punctuation leaves a space only where none stands beside any of its kind and the answer has no
    1,000.

    Example:
        >>> normalise("The two dogs, dont you think?"), normalise("10:30 a.m."), normalise("black/white")
        ("2 dogs don't you think", '10:30 am', 'black white')
    """
    words = [NUMBERS.get(word, word) for word in _without_punctuation(answer).lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def _without_punctuation(answer: str) -> str:
    thousands, left = _THOUSANDS.search(answer) is not None, answer
    for sign in PUNCTUATION:
        beside_a_space = f"{sign} " in answer or f" {sign}" in answer
        left = left.replace(sign, "" if beside_a_space or thousands else " ")
    return _STOP.sub("", left, count=_STOPS)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """How right an answer is, 0..1: min(1, agreeing / 3), averaged over all ways to leave one person out.

    Answers are normalised only where the people disagree, as the official script does; where all say the
    same, an answer must be that to the letter. One person alone cannot agree with anyone: 0.

    Source: Antol et al. 2015, section 5; evaluate of GT-Vision-Lab/VQA's vqaEval.py. Raises ValueError for
    no people.
    """
    if not people:
        raise ValueError("an answer is compared with those of one person or more, not of none")
    said, true = _plain(answer), [_plain(text) for text in people]
    if len(set(true)) > 1:
        said, true = normalise(said), [normalise(text) for text in true]
    agreeing = true.count(said)
    scores = [min(1.0, (agreeing - (text == said)) / ENOUGH) for text in true]
    return sum(scores) / len(scores)


def _plain(answer: str) -> str:
    return answer.replace("\n", " ").replace("\t", " ").strip()
