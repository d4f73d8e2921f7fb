"""Text as byte-level BPE codes. Knows no control ids: whatever a user types becomes ordinary codes."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from unitok.atomic_files import write_text
from unitok.document import TurnText
from unitok.modalities.base import Modality
from unitok.modalities.kinds import modality_kind

TEXT_TOKENIZER = "tokenizer.json"
"""Its file in folders of models and stores."""
ESCAPES = (" {}", "{} ", "{}.", ".{}", "{}0", "{0} {0}")
"""Changes to a text that would be encoded as a mark, in order; a space is enough for most tokenizers."""
BYTES = 256
SURROGATE = re.compile("[\ud800-\udfff]")


def train_bpe(texts: Iterable[str], *, size: int = 1024) -> Tokenizer:
    """Train a byte-level BPE of at most `size` codes (256 bytes and the merges), without special tokens.

    Raises:
        ValueError: `size` is below the number of bytes.
    """
    if size < BYTES:
        raise ValueError(f"text_size must be at least {BYTES}, a code for each byte, got {size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(map(clean, texts), trainer)
    return tokenizer


def clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)


@modality_kind
class TextModality(Modality):
    """Strings through a `tokenizers` tokenizer.

    Special tokens of the tokenizer are demoted: their names in a text are encoded like any other letters, so
    that text never becomes a control id. The codes of a text are the ids of its tokenizer.

    Args:
        tokenizer: a byte-level tokenizer.
        max_bytes: maximum length of a text, in UTF-8 bytes.
    """

    name = "text"

    def __init__(self, tokenizer: Tokenizer, *, max_bytes: int = 65_536):
        self.tokenizer = tokenizer
        self.max_bytes = max_bytes
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self._demote()

    def _demote(self) -> None:
        self.tokenizer.encode_special_tokens = True  # saved neither in tokenizer.json nor by pickle
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._demote()

    @classmethod
    def from_file(cls, path: str | Path, **options) -> "TextModality":
        """Load a `tokenizer.json`. Raises OSError if it cannot be read, ValueError if it is invalid."""
        content = Path(path).read_bytes()
        try:
            return cls(Tokenizer.from_buffer(content), **options)
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"{path}: not a readable tokenizer.json ({error})") from error

    def to_file(self, path: str | Path) -> None:
        """Write `tokenizer.json` atomically."""
        write_text(path, self.tokenizer.to_str(pretty=True))

    def save(self, folder: Path) -> None:
        self.to_file(folder / TEXT_TOKENIZER)

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> "TextModality":
        return cls.from_file(folder / TEXT_TOKENIZER, **settings)

    def encode(self, content: str) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        if not isinstance(content, str):
            raise ValueError(f"a text segment must hold a str, got {type(content).__name__}: {content!r:.80}")
        if len(content) > self.max_bytes or len(content.encode("utf-8", "replace")) > self.max_bytes:
            raise ValueError(
                f"a text must have at most {self.max_bytes} UTF-8 bytes, got {len(content)} characters"
            )
        ids = self._escape_marks(content) if isinstance(content, TurnText) else self._ids(content)
        return torch.tensor(ids, dtype=torch.long), (len(ids),)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(clean(text), add_special_tokens=False).ids

    def _escape_marks(self, text: TurnText) -> list[int]:
        """Ids of a text, changed where they would equal those of a mark.

        A tokenizer may encode other texts as a mark too, since it normalises letters, case or spaces.
        """
        marks = [ids for mark in text.marks if (ids := self._ids(mark))]
        for escaped in (text, *(escape.format(text) for escape in ESCAPES)):
            ids = self._ids(escaped)
            if ids not in marks:
                return ids
        raise ValueError(
            f"this tokenizer encodes {text!r:.80} as a mark of the chat template, whatever is added"
        )

    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...] = ()) -> str:
        return self.tokenizer.decode(codes.tolist(), skip_special_tokens=False)

    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        return torch.arange(shape[0])[:, None].expand(-1, 3)

    @property
    def open_ended(self) -> bool:
        return True

    def preview_step(self, header: Sequence[int]) -> int:
        return 1

    def preview(self, codes: Int64[Tensor, " n"], header: Sequence[int]) -> str | None:
        """The text so far; None if it ends within a character."""
        text = self.decode(codes)
        return None if text.endswith("\ufffd") else text

    def fingerprint(self) -> str:
        return hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()
