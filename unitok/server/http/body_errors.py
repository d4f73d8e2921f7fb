"""Messages for invalid bodies: field, rule, value. Knows pydantic's errors."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Found = Mapping[str, Any]
"""An error as pydantic tells it: type, loc, input, ctx."""
NO_FILE = "Expected UploadFile"
"""How FastAPI's error begins where a form has a text in place of a file."""
SHORT = 40
"""Letters of a value that is repeated; longer ones may be large, or secret."""


def _of(found: Found, name: str) -> Any:
    return found["ctx"][name]


def _limit(before: str, name: str) -> Callable[[Found], str]:
    def wanted(found: Found) -> str:
        limit = _of(found, name)
        return f"{before} {limit:g}" if isinstance(limit, float) else f"{before} {limit}"

    return wanted


def _text_of_at_least(found: Found) -> str:
    least = _of(found, "min_length")
    return "a text that is not empty" if least == 1 else f"a text of at least {least} letters"


WANTED: dict[str, str | Callable[[Found], str]] = {
    "value_error": "a file",
    "string_type": "a text",
    "string_unicode": "a text of Unicode letters",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": lambda found: _of(found, "expected"),
    "union_tag_invalid": lambda found: _of(found, "expected_tags").replace("', '", "' or '"),
    "greater_than_equal": _limit("at least", "ge"),
    "greater_than": _limit("more than", "gt"),
    "less_than_equal": _limit("at most", "le"),
    "less_than": _limit("less than", "lt"),
    "string_too_short": _text_of_at_least,
    "string_too_long": lambda found: f"a text of at most {_of(found, 'max_length')} letters",
    "too_short": lambda found: f"a list of at least {_of(found, 'min_length')}",
    "too_long": lambda found: f"a list of at most {_of(found, 'max_length')}",
}
"""What a field must be, by the type of its error."""
CODES = {
    "union_tag_invalid": "literal_error",
    "union_tag_not_found": "missing",
    "model_type": "dict_type",
    "bool_parsing": "bool_type",
    "int_parsing": "int_type",
    "float_parsing": "float_type",
    "int_parsing_size": "int_type",
    "model_attributes_type": "dict_type",
}
"""Codes by which programs know an error, where pydantic's own speaks of how a field is described."""


class Sentence(NamedTuple):
    """An error as a client reads it."""

    message: str
    code: str
    param: str | None


def sentence(errors: Sequence[Found], body: Any) -> Sentence:
    """The error that got furthest into a body; of several ways to read a field, all that it may be."""
    placed = [(_place(found, body), found) for found in errors]
    furthest = max((place for place, _ in placed), key=len)
    here, param = [found for place, found in placed if place == furthest], ".".join(furthest)
    # a list that is too long is nearly right: that it is no text is beside the point
    telling = [found for found in here if not found["type"].endswith("_type")] or here
    code = CODES.get(telling[0]["type"], telling[0]["type"])
    return Sentence(_message(param or "the body", telling), code, param or None)


def _message(name: str, here: Sequence[Found]) -> str:
    first = here[0]
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"{name} is missing"
    if first["type"] == "value_error" and not str(_of(first, "error")).startswith(NO_FILE):
        return str(_of(first, "error"))  # a sentence of our own
    wanted = dict.fromkeys(_wanted(found) for found in here)
    return f"{name} must be {' or '.join(wanted)}, got {came(_value(first))}"


def _wanted(found: Found) -> str:
    wanted = WANTED.get(found["type"], "another value")
    return wanted if isinstance(wanted, str) else wanted(found)


def _value(found: Found) -> Any:
    return _of(found, "tag") if found["type"] == "union_tag_invalid" else found["input"]


def _place(found: Found, body: Any) -> tuple[str, ...]:
    """Where in a body an error is, like messages, 0, content: what pydantic adds of its own is in no body."""
    names, here = [], body
    absent = found["loc"][1:][-1:] if found["type"] == "missing" else ()
    for name in found["loc"][1 : len(found["loc"]) - len(absent)]:
        inside = isinstance(here, Mapping) and name in here
        inside |= isinstance(here, list) and isinstance(name, int) and name < len(here)
        if inside:
            names.append(str(name))
            here = here[name]
    if found["type"].startswith("union_tag"):
        absent = (_of(found, "discriminator").strip("'"),)
    return (*names, *map(str, absent))


def came(value: Any) -> str:
    """What came instead, as far as it is short.

    Example:
        >>> came(["a"]), came("maybe"), came({"a": 1}), came(None)
        ('a list of 1', '"maybe"', 'an object', 'null')
    """
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "an object"
    if not isinstance(value, str | int | float | None):
        return "a file"
    told = json.dumps(value, ensure_ascii=False)
    if len(told) <= SHORT:
        return told
    return f"a text of {len(value)} letters" if isinstance(value, str) else f"a number of {len(told)} digits"
