"""Tokenises captions as the caption metrics count words. Knows no metric."""

import re

ABBREVIATIONS = "ave|blvd|dept|dr|etc|ft|inc|jr|lb|ltd|mr|mrs|ms|mt|no|oz|pm|prof|rd|sr|st|vs"
HALVES = {"cannot": "can not", "gimme": "gim me", "gonna": "gon na", "gotta": "got ta", "lemme": "lem me",
          "wanna": "wan na"}  # fmt: skip
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
CURLY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "--", "—": "--", "…": "..."})
_TOKEN = re.compile(
    rf"""(?:(?:[^\W\d_]\.){{2,}}|(?:{ABBREVIATIONS})\.(?=\s|$))  # u.s., dr.
    | \d+(?:[.,:/]\d+)*(?:[^\W_]|-(?=[^\W_]))*                     # 3,000  2:30  1/2  5th  4-year-old
    | [^\W_]+(?:[-/.&'_]+[^\W_]+)*                                 # half-eaten  and/or  isn't
    | [()\[\]{{}}] | [$%&\#@*+=<>|~^\\/]                           # what is kept beside words
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(.+?)(n't|'(?:s|m|d|ll|ve|re))")


def caption_words(caption: str) -> str:
    """The words of a caption in lower case, one space between them, without punctuation.

    Stands in for the Penn Treebank tokeniser of Stanford CoreNLP 3.4.1 with the list of punctuation that
    pycocoevalcap's `PTBTokenizer` removes, which needs Java: "isn't" becomes "is n't", brackets become
    "-lrb-" and "-rrb-" and stay. It is simpler: addresses, mark-up, rare abbreviations and clitics in the
    middle of a word may be cut otherwise.

    Example:
        >>> caption_words("The dog's ball (red) isn't here.")
        "the dog 's ball -lrb- red -rrb- is n't here"
    """
    found = _TOKEN.findall(caption.translate(CURLY).lower())
    return " ".join(part for token in found for part in _parts(token))


def _parts(token: str) -> list[str]:
    """A token with its clitics apart: "isn't" is "is" and "n't"."""
    if token in HALVES:
        return HALVES[token].split()
    match = _CLITIC.fullmatch(token)
    return [*_parts(match[1]), match[2]] if match else [BRACKETS.get(token, token)]
