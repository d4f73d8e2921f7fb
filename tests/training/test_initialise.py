"""A language model taken over: the same text logits, new rows where they should be, all others refused."""

import pytest
import torch
from tokenizers import Tokenizer

from tests.models.test_transformer import oracle
from tests.worlds import GridModality
from unitok.codec import Codec
from unitok.modalities.text import TextModality, train_bpe
from unitok.models.transformer import Transformer, TransformerConfig
from unitok.training.initialise import language_model_sizes, start_from_language_model

pytest.importorskip("transformers")
WORDS = ["the quick brown fox jumps over the lazy dog"] * 3
ROWS = 300


@pytest.fixture(params=[(True, False), (True, True), (False, False)], ids=["Qwen3", "Qwen3 tied", "Llama"])
def language_model(request, tmp_path):
    """A tiny random language model with more rows than its tokenizer has codes, and its folder."""
    qk_norm, tie = request.param
    torch.manual_seed(0)
    model = oracle(qk_norm=qk_norm, tie=tie, vocab_size=ROWS)
    model.save_pretrained(tmp_path)
    train_bpe(WORDS, size=270).save(str(tmp_path / "tokenizer.json"))
    return model, tmp_path


def codec_of(folder) -> Codec:
    text = TextModality(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return Codec([text, GridModality(codebook=50, shape=(2, 2))])


@pytest.mark.parametrize("new_head", ["mean", "zero"])
@torch.no_grad()
def test_text_logits_are_the_language_models(language_model, new_head):
    theirs, folder = language_model
    codec = codec_of(folder)
    sizes = language_model_sizes(folder, max_length=64)
    ours = Transformer(TransformerConfig(**vars(sizes), vocab_size=codec.vocabulary.size)).eval()
    root = start_from_language_model(ours, codec, folder, new_head=new_head)
    known = codec.modalities["text"].size
    ids = torch.randint(known, (2, 17))
    positions = torch.arange(17)[None, :, None].expand(2, -1, 3)
    logits = ours.head(ours(ids, positions), range(known))
    assert (logits - theirs(ids).logits[..., :known]).abs().max() <= 1e-4
    old = theirs.model.embed_tokens.weight[:known]
    assert root == pytest.approx(old.square().mean().sqrt().item(), rel=1e-4)
    assert torch.allclose(ours.embedding.weight[known:], old.mean(dim=0), atol=1e-6)
    new_rows = ours.unembedding.weight[known:]
    mean = theirs.lm_head.weight[:known].mean(dim=0)
    expected = mean if new_head == "mean" or ours.config.tie_embeddings else torch.zeros_like(mean)
    assert torch.allclose(new_rows, expected.expand_as(new_rows), atol=1e-6)


def test_another_tokenizer_is_refused_with_the_numbers(language_model):
    _, folder = language_model
    letters = [chr(97 + i % 26) * (1 + i // 26) + chr(97 + i * 7 % 26) for i in range(400)]
    train_bpe([" ".join(letters)] * 2, size=400).save(str(folder / "tokenizer.json"))
    codec = codec_of(folder)
    sizes = language_model_sizes(folder, max_length=64)
    model = Transformer(TransformerConfig(**vars(sizes), vocab_size=codec.vocabulary.size))
    with pytest.raises(
        ValueError, match=f"has {ROWS} rows, the text tokenizer {codec.modalities['text'].size}"
    ):
        start_from_language_model(model, codec, folder)


def test_what_is_no_language_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"it has no config\.json"):
        language_model_sizes(tmp_path, max_length=8)
