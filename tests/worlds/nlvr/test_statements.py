"""Statements about grey boxes: truth by an independent reading of the words, and consistent reasons."""

import re
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from unitok.worlds.nlvr.boxes import Item, sample_boxes
from unitok.worlds.nlvr.lessons import BoxLessons, sample_lesson
from unitok.worlds.nlvr.statements import sample_statement
from unitok.worlds.nlvr.words import Kind

NUMBERS = {
    word: n for n, word in enumerate(["no", "one", "two", "three", "four", "five", "six", "seven", "eight"])
} | {"a": 1}
SHAPES = "circle|square|triangle"
THINGS = "block|item|object"
WHERE = "(?: (touching the wall|not touching any edge))?"
COLOUR, NUMBER = "(black|blue|yellow)", "(no|a|one|two|three|four|five|six|seven|eight|[1-8])"
HOW = "(?:(exactly|only|at ?least|at most|more than|less than) )?"
AMOUNT = f"{HOW}{NUMBER}"


def enough(how: str | None, number: str, count: int) -> bool:
    """What an amount in words says of a number."""
    n = int(number) if number.isdigit() else NUMBERS[number]
    if number == "a" and how is None:
        return count >= 1
    return {"at least": count >= n, "atleast": count >= n, "at most": count <= n, "more than": count > n,
            "less than": count < n}.get(how, count == n)  # fmt: skip


def read(words: str, boxes) -> bool | None:
    """The truth of sentences of some forms; None of any other."""
    items = [item for box in boxes for item in box]
    if m := re.fullmatch(f"there (?:is|are) {AMOUNT} {COLOUR} ({SHAPES}|{THINGS})s?{WHERE}", words):
        how, number, colour, shape, where = m.groups()
        found = [i for i in items if i.colour == colour and (shape == i.shape or shape in THINGS)]
        edges = [min(i.left, i.top, 100 - i.left - i.size, 100 - i.top - i.size) == 0 for i in found]
        wanted = {None: len(edges), "touching the wall": sum(edges)}
        return enough(how, number, wanted.get(where, len(edges) - sum(edges)))
    if m := re.fullmatch(f"there (?:is|are) {AMOUNT} {COLOUR} blocks? as the (base|top) of a tower", words):
        how, number, colour, end = m.groups()
        key = max if end == "base" else min
        return enough(how, number, sum(key(box, key=lambda i: i.top).colour == colour for box in boxes))
    if m := re.fullmatch(
        f"there is a {COLOUR} block (?:above|over|on|on top of) (?:a|the) {COLOUR} block", words
    ):
        return any(
            a.colour == m[1] and b.colour == m[2] and b.top - a.top == 21 for x in boxes for a in x for b in x
        )
    if m := re.fullmatch(
        f"there (?:is|are) {AMOUNT} (?:tower|box|grey box)(?:es|s)? with {AMOUNT} (?:block|item|object)s?",
        words,
    ):
        (how, number), (amount, size) = m.groups()[:2], m.groups()[2:]
        count = sum(enough(amount, size, len(box)) for box in boxes)
        return count >= 1 if how is None and number in ("1", "one") else enough(how, number, count)
    return None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9), st.booleans())
def test_the_words_say_what_holds(seed, towers):
    rng = Random(seed)
    statement, boxes = sample_statement(rng, towers=towers), sample_boxes(rng, towers=towers)
    said = read(statement.words, boxes)
    assert said is None or said == statement.holds(boxes), (statement.words, boxes)


def test_many_statements_can_be_read_anew():
    rng = Random(0)
    drawn = [
        (sample_statement(rng, towers=bool(i % 2)), sample_boxes(rng, towers=bool(i % 2)))
        for i in range(1500)
    ]
    known = [(s.holds(boxes), read(s.words, boxes)) for s, boxes in drawn]
    known = [pair for pair in known if pair[1] is not None]
    assert len(known) > 150 and {a for a, _ in known} == {True, False}
    assert all(a == b for a, b in known)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_reasons_lead_to_the_verdict(seed):
    statement, boxes = sample_lesson(seed)
    *seen, last = statement.reasons(boxes)
    count, verdict = last.split()
    assert len(seen) == 3 and int(count) == statement.count(boxes)
    assert verdict == ("yes" if statement.holds(boxes) else "no")
    if all(words.split()[-1] in ("yes", "no") for words in seen):
        assert int(count) == sum(words.split()[-1] == "yes" for words in seen)


def test_things_are_named_by_their_sizes_before_they_are_counted():
    blue = Kind("blue item", lambda item: item.colour == "blue")
    box = (
        Item("square", "blue", 30, 0, 0),
        Item("circle", "black", 20, 50, 50),
        Item("circle", "blue", 10, 40, 70),
    )
    assert (
        blue.observe(box) == "small large 2" and blue.observe(box[1:2]) == "0"
    )  # circles come before squares
    towers = (sample_boxes(Random(n), towers=True)[0] for n in range(99))
    tower = next(filter(blue.count, towers))
    assert blue.observe(tower) == str(blue.count(tower))


def test_half_of_the_lessons_are_true_and_a_document_has_a_picture_a_box():
    verdicts = [document[-1].content.split()[-1] for document in BoxLessons(count=300, shown=False)]
    assert 120 <= verdicts.count("yes") <= 180
    shown, hidden = BoxLessons(count=2)[1], BoxLessons(count=2, shown=False)[1]
    assert [s.modality for s in shown] == ["text", *("image", "text", "text") * 3, "text"]
    assert [s.learn for s in shown] == [False, *(False, True, True) * 3, True]
    assert [s.content for s in shown if s.modality == "text"] == [s.content for s in hidden]
    assert [s.learn for s in hidden] == [False, *(False, True) * 3, True]
