"""Text as byte-level BPE codes. Knows no control ids: whatever a user types becomes ordinary codes."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Int64
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from unitok.atomic_files import write_text
from unitok.document import Said
from unitok.modalities.base import Modality

UNMARKED = (" {}", "{} ", "{}.", ".{}", "{}0", "{0} {0}")
"""How a text is changed that would be read as a mark; a blank is enough for most tokenizers."""
BYTES = 256
SURROGATE = re.compile("[\ud800-\udfff]")


def train_bpe(texts: Iterable[str], *, size: int = 1024) -> Tokenizer:
    """A byte-level BPE of at most `size` codes (256 bytes and the merges), with no special token.

    Raises:
        ValueError: `size` leaves no room for all bytes.
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
    """`text` with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)


class TextModality(Modality):
    """Strings through a `tokenizers` tokenizer.

    Special tokens of a given tokenizer are demoted: their names in a text are read letter by letter, so that
    text never becomes a control id. Codes of a text are those of its tokenizer.

    Args:
        tokenizer: a byte-level tokenizer.
        max_bytes: longest text accepted, in UTF-8 bytes.
    """

    name = "text"

    def __init__(self, tokenizer: Tokenizer, *, max_bytes: int = 65_536):
        self.tokenizer = tokenizer
        self.max_bytes = max_bytes
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self._demote()

    def _demote(self) -> None:
        self.tokenizer.encode_special_tokens = True  # kept neither in tokenizer.json nor by pickle
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._demote()

    @classmethod
    def from_file(cls, path: str | Path, **options) -> "TextModality":
        """From a `tokenizer.json`. Raises OSError where it is missing or may not be read, ValueError where it
        is no tokenizer."""
        content = Path(path).read_bytes()
        try:
            return cls(Tokenizer.from_buffer(content), **options)
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"{path}: not a readable tokenizer.json ({error})") from error

    def save(self, path: str | Path) -> None:
        """Write `tokenizer.json`; it is complete or absent."""
        write_text(path, self.tokenizer.to_str(pretty=True))

    def encode(self, content: str) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        if not isinstance(content, str):
            raise ValueError(f"a text segment holds a str, not {type(content).__name__}: {content!r:.80}")
        if len(content) > self.max_bytes or len(content.encode("utf-8", "replace")) > self.max_bytes:
            raise ValueError(
                f"the text has {len(content)} characters; the limit is {self.max_bytes} UTF-8 bytes"
            )
        ids = self._unmarked(content) if isinstance(content, Said) else self._ids(content)
        return torch.tensor(ids, dtype=torch.long), (len(ids),)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(clean(text), add_special_tokens=False).ids

    def _unmarked(self, said: Said) -> list[int]:
        """Ids of a text that are those of no mark: a tokenizer may read another text as one, since it
        normalises letters, case or blanks."""
        marks = [ids for mark in said.marks if (ids := self._ids(mark))]
        for told in (said, *(form.format(said) for form in UNMARKED)):
            ids = self._ids(told)
            if ids not in marks:
                return ids
        raise ValueError(
            f"this tokenizer reads {said!r:.80} as a mark of the chat template, whatever is added"
        )

    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...] = ()) -> str:
        return self.tokenizer.decode(codes.tolist(), skip_special_tokens=False)

    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        return torch.arange(shape[0])[:, None].expand(-1, 3)

    @property
    def open_ended(self) -> bool:
        return True

    def fingerprint(self) -> str:
        return hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()
