"""A language model that was trained on texts knows how to end them, and still does as the start of ours."""

import json

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from tests.tiny_codecs import GridModality
from tests.training.weights.test_init_from import started
from unitok.data.batches.packing import pack
from unitok.document import Segment
from unitok.interop.language.families import config_of
from unitok.interop.language.folder import LanguageFolder
from unitok.interop.language.weights import to_transformers
from unitok.modalities.text import TextModality, train_bpe
from unitok.models.cross_entropy import grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.models.weights import write_weights
from unitok.tokens.codec import Codec

COLORS, SHAPES = ("red", "green", "blue", "black"), ("circle", "square", "star", "cross", "ring")
TEXTS = [f"a {a} {b} and a {c} {d}" for a in COLORS for b in SHAPES for c in COLORS for d in SHAPES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A language model that was trained on texts between a bos and an eos, as those of others are."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("texts")
    tokenizer = train_bpe(TEXTS, size=300)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.save(str(path / "tokenizer.json"))
    bos, eos = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    sizes = TransformerSizes(
        width=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_width=16,
        hidden=128,
        variant=BlockVariant(qk_norm=False),
    )
    model = Transformer(TransformerConfig(sizes, tokenizer.get_vocab_size()))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = [torch.tensor([bos, *tokenizer.encode(text).ids, eos]) for text in TEXTS]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=eos)
    places = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    targets = ids.where(places.bool(), -100)[:, 1:]
    positions = torch.arange(ids.shape[1])[None, :, None].expand(len(ids), -1, 3)
    for step in range(120):
        some = torch.randperm(len(ids), generator=torch.Generator().manual_seed(step))[:32]
        logits = model.head(model(ids[some, :-1], positions[some, :-1]))
        F.cross_entropy(logits.flatten(0, 1), targets[some].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    write_weights(path / "model.safetensors", to_transformers(model.state_dict(), sizes))
    config = config_of(model.config, bos_token_id=bos, eos_token_id=eos)
    (path / "config.json").write_text(json.dumps(config))
    return path


@torch.no_grad()
def first_loss(folder) -> dict[str, float]:
    """The loss of texts before the first step, by what is predicted."""
    text = TextModality(Tokenizer.from_file(str(folder / "tokenizer.json")))
    codec = Codec([text, GridModality(shape=(2, 2))], positions="sequential")
    model, _ = started(folder, codec)
    documents = codec.encode_many([(Segment("text", text),) for text in TEXTS[::20]])
    batch = pack(codec.lay_out(documents), length=64, pad=codec.vocabulary.pad)
    hidden = model(batch.ids, batch.positions, document=batch.document)
    sums = grouped_cross_entropy(model.unembedding.weight, hidden, batch.targets, codec.groups)
    each = {name: float(value) / float(sums.count[name]) for name, value in sums.cross_entropy.items()}
    return {"all": float(sums.mean), **each}


def test_the_first_loss_is_lower_with_the_rows_of_begin_and_end(folder, monkeypatch):
    with_rows = first_loss(folder)
    monkeypatch.setattr(LanguageFolder, "special_id", lambda self, kind, tokenizer: None)
    without = first_loss(folder)
    assert with_rows["all"] <= without["all"] and with_rows["text"] <= without["text"]
