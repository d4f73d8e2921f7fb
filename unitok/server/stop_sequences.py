"""Stop sequences: ends an answer before any of several texts. Knows strings alone."""

from collections.abc import Sequence


def before_stop(text: str, stops: Sequence[str]) -> str | None:
    """`text` before the first stop in it; None if there is none.

    Example:
        >>> before_stop("a red star. a blue", [".", "blue"])
        'a red star'
    """
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else None


def without_partial_stop(text: str, stops: Sequence[str]) -> str:
    """`text` without an end that may be the beginning of a stop.

    Example:
        >>> without_partial_stop("a star\\n", ["\\n\\n"])
        'a star'
    """
    longest = max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )
    return text[: len(text) - longest]
