"""CHAIR: objects that captions name though the image lacks them. Knows no model and no images."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

YOUNG_AND_OLD = ("baby", "adult")
ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal",
           "cub")  # fmt: skip
CARRIERS = ("jet", "train")
TWO_WORDS = {"bow tie": "tie", "toilet seat": "toilet", "home plate": "home plate",
             "street light": "street light", "traffic signal": "traffic signal"}  # fmt: skip
PLURALS = {"people": "people", "children": "children", "men": "man", "women": "woman", "mice": "mouse",
           "knives": "knife", "geese": "goose", "oxen": "ox", "buses": "bus", "skis": "skis",
           "scissors": "scissors", "glasses": "glass", "shelves": "shelf", "loaves": "loaf",
           "calves": "calf", "policemen": "policeman", "firemen": "fireman"}  # fmt: skip
SINGULAR_ENDS = ("ss", "us", "is")
_WORD = re.compile(r"[a-z0-9]+(?:[-'][a-z]+)*")


class Chair(NamedTuple):
    """Shares in 0..1 of captions with an absent object (s), and of absent objects among those named (i)."""

    sentences: float
    instances: float


class Synonyms:
    """Words and word pairs that name the objects of a data set.

    Args:
        names: the object's own name for each of its words or word pairs, in any case.
    """

    def __init__(self, names: Mapping[str, str]):
        self.names = {word.lower(): name for word, name in names.items()}
        self.pairs = {word: word for word in self.names if word.count(" ") == 1} | TWO_WORDS
        self.pairs |= {f"{age} {animal}": animal for age in YOUNG_AND_OLD for animal in ANIMALS}
        self.pairs |= {f"passenger {carrier}": carrier for carrier in CARRIERS}

    @classmethod
    def of(cls, objects: Iterable[str]) -> "Synonyms":
        """Objects without synonyms other than their own names."""
        return cls({name: name for name in objects})

    @classmethod
    def read(cls, path: str | Path) -> "Synonyms":
        """Reads CHAIR's synonyms.txt: one object per line, its own name first, separated by commas.

        Raises ValueError naming the file if it holds no words.
        """
        names: dict[str, str] = {}
        for line in Path(path).read_text(encoding="utf-8-sig").splitlines():
            words = [word.strip() for word in line.split(",") if word.strip()]
            names |= {word: words[0] for word in words}
        if not names:
            raise ValueError(f"{path}: no words; expected lines of synonyms separated by commas")
        return cls(names)

    def objects(self, caption: str) -> list[str]:
        """The objects that a caption names, in order, each as often as it is named.

        Example:
            >>> Synonyms.of(["dog", "hot dog", "cat"]).objects("Two dogs, a hot dog and a baby cat")
            ['dog', 'hot dog', 'cat']
        """
        words, merged, i = [singular(word) for word in _WORD.findall(caption.lower())], [], 0
        while i < len(words):
            pair = self.pairs.get(" ".join(words[i : i + 2]))
            merged.append(pair or words[i])
            i += 2 if pair else 1
        if "toilet" in merged:
            merged = [word for word in merged if word != "seat"]
        return [self.names[word] for word in merged if word in self.names]


def singular(word: str) -> str:
    """A noun's singular by its ending; simpler than the official script, which uses a language library."""
    if word in PLURALS or len(word) < 4 or not word.endswith("s") or word.endswith(SINGULAR_ENDS):
        return PLURALS.get(word, word)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "atoes")):
        return word[:-2]
    return word[:-1]


def chair(mentioned: Sequence[Sequence[str]], present: Sequence[Iterable[str]]) -> Chair:
    """CHAIR of captions, from the objects mentioned in each and those present in its image.

    Source: Rohrbach et al. 2018, equations 1 and 2; LisaAnne/Hallucination's chair.py. Raises ValueError
    if the counts differ or are 0.
    """
    if not mentioned or len(mentioned) != len(present):
        raise ValueError(f"got the objects of {len(mentioned)} captions and of {len(present)} images")
    absent = [
        [name for name in names if name not in set(objects)]
        for names, objects in zip(mentioned, present, strict=True)
    ]
    total = sum(map(len, mentioned))
    return Chair(sum(map(bool, absent)) / len(mentioned), sum(map(len, absent)) / max(1, total))
