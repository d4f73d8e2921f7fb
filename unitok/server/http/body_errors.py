"""Messages for invalid bodies: field, rule, value. Knows pydantic's errors."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

ErrorDetails = Mapping[str, Any]
"""An error of pydantic: type, loc, input, ctx."""
NO_FILE = "Expected UploadFile"
"""Beginning of FastAPI's error for a form with a text in place of a file."""
SHORT = 40
"""Most characters of a value that a message repeats; longer ones may be large, or secret."""


def _context(error: ErrorDetails, name: str) -> Any:
    return error["ctx"][name]


def _limit(before: str, name: str) -> Callable[[ErrorDetails], str]:
    def rule(error: ErrorDetails) -> str:
        limit = _context(error, name)
        return f"{before} {limit:g}" if isinstance(limit, float) else f"{before} {limit}"

    return rule


def _min_length(error: ErrorDetails) -> str:
    minimum = _context(error, "min_length")
    return "a non-empty string" if minimum == 1 else f"a string of at least {minimum} characters"


RULES: dict[str, str | Callable[[ErrorDetails], str]] = {
    "value_error": "a file",
    "string_type": "a string",
    "string_unicode": "a string of Unicode characters",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer of fewer digits",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": lambda error: _context(error, "expected"),
    "union_tag_invalid": lambda error: _context(error, "expected_tags").replace("', '", "' or '"),
    "greater_than_equal": _limit("at least", "ge"),
    "greater_than": _limit("more than", "gt"),
    "less_than_equal": _limit("at most", "le"),
    "less_than": _limit("less than", "lt"),
    "string_too_short": _min_length,
    "string_too_long": lambda error: f"a string of at most {_context(error, 'max_length')} characters",
    "too_short": lambda error: f"a list of at least {_context(error, 'min_length')}",
    "too_long": lambda error: f"a list of at most {_context(error, 'max_length')}",
}
"""What a field must be, by the type of its error."""
TYPES = {"int_from_float", "bool_parsing", "int_parsing", "float_parsing", "int_parsing_size"}
"""Errors of a wrong type, beside those that are named *_type."""
CODES = {
    "missing": "missing_required_parameter",
    "union_tag_not_found": "missing_required_parameter",
    "greater_than": "below_min_value",
    "greater_than_equal": "below_min_value",
    "less_than": "above_max_value",
    "less_than_equal": "above_max_value",
    "string_too_short": "string_below_min_length",
    "string_too_long": "string_above_max_length",
    "too_short": "array_below_min_length",
    "too_long": "array_above_max_length",
    "unsupported_parameter": "unsupported_parameter",
}
"""Codes for programs, by OpenAI's names, where another than invalid_value fits."""


class Explanation(NamedTuple):
    """An error as a client reads it."""

    message: str
    code: str
    param: str | None


def explain(errors: Sequence[ErrorDetails], body: Any) -> Explanation:
    """Explain the error deepest in a body; if a field may have several types, the message names all."""
    located = [(_path(error, body), error) for error in errors]
    deepest = max((path for path, _ in located), key=len)
    here, param = [error for path, error in located if path == deepest], ".".join(deepest)
    # a list that is too long is nearly right: that it is not a string is beside the point
    relevant = [error for error in here if not error["type"].endswith("_type")] or here
    return Explanation(_message(param or "the body", relevant), _code(relevant[0]), param or None)


def _code(error: ErrorDetails) -> str:
    """A code by OpenAI's names, not by pydantic's; limits say whether they are of integers."""
    kind = error["type"]
    if kind.endswith("_type") or kind in TYPES:
        return "invalid_type"
    code = CODES.get(kind, "invalid_value")
    if not code.endswith("_value") or code == "invalid_value":
        return code
    limits = [limit for name, limit in error["ctx"].items() if name in ("ge", "gt", "le", "lt")]
    return f"{'decimal' if isinstance(limits[0], float) else 'integer'}_{code}"


def _message(name: str, errors: Sequence[ErrorDetails]) -> str:
    first = errors[0]
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"{name} is missing"
    if first["type"] == "unsupported_parameter":
        return _context(first, "message")
    if first["type"] == "value_error" and not str(_context(first, "error")).startswith(NO_FILE):
        message, field = str(_context(first, "error")), name.rpartition(".")[2]  # a message of our own
        return name + message.removeprefix(field) if message.startswith(f"{field} ") else message
    rules = dict.fromkeys(_rule(error) for error in errors)
    return f"{name} must be {' or '.join(rules)}, got {describe(_value(first))}"


def _rule(error: ErrorDetails) -> str:
    rule = RULES.get(error["type"], "another value")
    return rule if isinstance(rule, str) else rule(error)


def _value(error: ErrorDetails) -> Any:
    return _context(error, "tag") if error["type"] == "union_tag_invalid" else error["input"]


def _path(error: ErrorDetails, body: Any) -> tuple[str, ...]:
    """The path of an error in the body, like messages, 0, content, without the steps that pydantic adds."""
    names, here = [], body
    absent = error["loc"][1:][-1:] if error["type"] == "missing" else ()
    for name in error["loc"][1 : len(error["loc"]) - len(absent)]:
        inside = isinstance(here, Mapping) and name in here
        inside |= isinstance(here, list) and isinstance(name, int) and name < len(here)
        if inside:
            names.append(str(name))
            here = here[name]
    if error["type"] == "unsupported_parameter":
        absent = (_context(error, "name"),)
    if error["type"].startswith("union_tag"):
        absent = (_context(error, "discriminator").strip("'"),)
    return (*names, *map(str, absent))


def describe(value: Any) -> str:
    """A value as a message names it: its JSON if it is short, else its type and size.

    Example:
        >>> describe(["a"]), describe("maybe"), describe({"a": 1}), describe(None)
        ('a list of 1', '"maybe"', 'an object', 'null')
    """
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "an object"
    if not isinstance(value, str | int | float | None):
        return "a file"
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= SHORT:
        return text
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    return f"a number of {len(text)} digits"
