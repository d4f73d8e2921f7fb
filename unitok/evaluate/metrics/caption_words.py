"""Tokenises captions as the caption metrics count words. Knows no metric."""

import re

ABBREVIATIONS = "ave|blvd|dept|dr|etc|ft|inc|jr|lb|ltd|mr|mrs|ms|mt|no|oz|pm|prof|rd|sr|st|vs"
SPLITS = {"cannot": "can not", "gimme": "gim me", "gonna": "gon na", "gotta": "got ta", "lemme": "lem me",
          "wanna": "wan na"}  # fmt: skip
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
CURLY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "--", "—": "--", "…": "..."})
_TOKEN = re.compile(
    rf"""(?:(?:[^\W\d_]\.){{2,}}|(?:{ABBREVIATIONS})\.(?=\s|$))  # u.s., dr.
    | \d+(?:[.,:/]\d+)*(?:[^\W_]|-(?=[^\W_]))*                     # 3,000  2:30  1/2  5th  4-year-old
    | [^\W_]+(?:[-/.&'_]+[^\W_]+)*                                 # half-eaten  and/or  isn't
    | [()\[\]{{}}] | [$%&\#@*+=<>|~^\\/]                           # signs that are kept
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(.+?)(n't|'(?:s|m|d|ll|ve|re))")


def caption_words(caption: str) -> str:
    """The words of a caption in lower case, one space between them, without punctuation.

    Replaces pycocoevalcap's `PTBTokenizer`, which needs Java: the Penn Treebank tokeniser of Stanford CoreNLP
    3.4.1, with the same punctuation removed. "isn't" becomes "is n't"; brackets become "-lrb-" and "-rrb-".
    It is simpler: addresses, mark-up, rare abbreviations and clitics within a word may be split differently.

    Example:
        >>> caption_words("The dog's ball (red) isn't here.")
        "the dog 's ball -lrb- red -rrb- is n't here"
    """
    tokens = _TOKEN.findall(caption.translate(CURLY).lower())
    return " ".join(word for token in tokens for word in _split_clitics(token))


def _split_clitics(token: str) -> list[str]:
    """Splits clitics off a token: "isn't" becomes "is" and "n't"."""
    if token in SPLITS:
        return SPLITS[token].split()
    match = _CLITIC.fullmatch(token)
    return [*_split_clitics(match[1]), match[2]] if match else [BRACKETS.get(token, token)]
