"""Text is encoded by its tokenizer, comes back, and never becomes an id beyond the tokenizer's."""

import pytest

from tests.tiny_codecs import byte_text
from unitok.modalities.text import TextModality


@pytest.mark.parametrize("text", ["", "a red star", "ü 😀\n\t", " <image> </s>", "\x00"])
def test_text_comes_back(text):
    modality = byte_text()
    codes, shape = modality.encode(text)
    assert isinstance(modality, TextModality) and modality.decode(codes, shape) == text
    assert shape == (len(text.encode()),) and all(0 <= code < modality.size for code in codes.tolist())


def test_a_fingerprint_follows_the_tokenizer():
    same, other = byte_text(), byte_text()
    assert same.fingerprint() == other.fingerprint()
    other.tokenizer.add_tokens(["star"])
    assert TextModality(other.tokenizer).fingerprint() != same.fingerprint()
