"""Stops end a text, and a stream never has to take back what it sent."""

from hypothesis import given
from hypothesis import strategies as st

from unitok.server.stop_sequences import before_stop, without_partial_stop

TEXT = st.text("abc", max_size=20)
STOPS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


@given(TEXT, STOPS)
def test_a_text_is_cut_before_its_first_stop(text, stops):
    before = before_stop(text, stops)
    if before is None:
        assert not any(stop in text for stop in stops)
    else:
        assert any(text.startswith(stop, len(before)) for stop in stops)
        assert before_stop(before, stops) is None


@given(TEXT, STOPS)
def test_streamed_text_is_a_prefix_of_the_answer(text, stops):
    answer = text
    for end in range(len(text) + 1):
        if (before := before_stop(text[:end], stops)) is not None:
            answer = before
            break
    for end in range(len(text) + 1):
        if before_stop(text[:end], stops) is not None:
            break
        assert answer.startswith(without_partial_stop(text[:end], stops))


def test_examples():
    assert (
        before_stop("a red star. a blue", [".", "blue"]) == "a red star"
        and before_stop("a star", ["."]) is None
    )
    assert (
        without_partial_stop("a star\n", ["\n\n"]) == "a star"
        and without_partial_stop("a star", []) == "a star"
    )
