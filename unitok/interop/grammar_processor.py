"""A logits processor that keeps an exported model to the grammar, without unitok.

from grammar_processor import Grammar
model.generate(ids, logits_processor=[Grammar.from_pretrained(folder)])
"""

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path

import torch
from transformers import LogitsProcessor


class Grammar(LogitsProcessor):
    """Masks all ids that the grammar does not allow next, so that an image always has exactly its codes.

    Args:
        grammar: the content of grammar.json.
        target: name of a modality; a document ends with its first segment of it. None lets the model choose.
    """

    def __init__(self, grammar: dict, target: str | None = None):
        self.pad, self.begin, self.end = (grammar[name] for name in ("pad", "document_begin", "document_end"))
        self.modalities, self.target = grammar["modalities"], target

    @classmethod
    def from_pretrained(cls, folder: str | Path, target: str | None = None) -> "Grammar":
        """Load the grammar of an exported folder."""
        return cls(json.loads((Path(folder) / "grammar.json").read_bytes()), target)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Set the scores [batch, vocabulary] of all other ids to -inf."""
        masked = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids.tolist()):
            for start, stop in self.legal(ids):
                masked[row, start:stop] = scores[row, start:stop]
        return masked

    def legal(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """The ranges of ids that may follow; after the end of a document, only padding."""
        ids = [i for i in ids if i != self.pad]
        if not ids or ids[-1] == self.end:
            return [(self.pad, self.pad + 1)] if ids else [(self.begin, self.begin + 1)]
        place, last = 1, None
        while place < len(ids):
            last = self._modality_of(ids[place])
            modality = self.modalities[last]
            inside = ids[place + 1 :]
            if modality["end"] not in inside:
                return self._legal_inside(modality, inside)
            place += inside.index(modality["end"]) + 2
        end = [(self.end, self.end + 1)]
        if last is not None and last == self.target:
            return end
        written = [m["begin"] for m in self.modalities.values() if m.get("written", True)]
        return [(begin, begin + 1) for begin in written] + end

    def _modality_of(self, begin: int) -> str:
        for name, modality in self.modalities.items():
            if modality["begin"] == begin:
                return name
        raise ValueError(f"id {begin} does not begin a segment")

    def _legal_inside(self, modality: dict, inside: Sequence[int]) -> list[tuple[int, int]]:
        """The ranges of ids that may follow in an open segment."""
        end = (modality["end"], modality["end"] + 1)
        if modality["open_ended"]:
            return [tuple(modality["codes"]), end]
        header, ranges = modality["header"], modality["cell_ranges"]
        if header and len(inside) < 2:
            return [tuple(header)]
        shape = [i - header[0] + 1 for i in inside[:2]] if header else modality["shape"]
        count = len(inside) - (2 if header else 0)
        return [tuple(ranges[count % len(ranges)])] if count < prod(shape) * len(ranges) else [end]
