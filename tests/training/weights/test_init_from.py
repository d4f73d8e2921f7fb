"""Warm starts: the same logits, new rows in their places, and errors for what does not fit."""

import json

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Metaspace
from tokenizers.models import WordLevel

from tests.tiny_codecs import GridModality
from tests.tiny_language_models import FAMILIES, SEEING, language_model, seeing_model, text_logits
from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.modalities.geometry import Box
from unitok.modalities.image import ImageModality
from unitok.modalities.location_bins import BoxModality, PointModality
from unitok.modalities.text import TextModality, train_bpe
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.training.weights.init_embeddings import init_from_features
from unitok.training.weights.init_from import LanguageModel, OwnModel, open_origin

WORDS = ["the quick brown fox jumps over the lazy dog"] * 3
ROWS, BOS, EOS = 300, 280, 290


def saved(model, folder):
    """Writes the folder of a language model whose tokenizer has fewer codes than it has rows."""
    model.save_pretrained(folder)
    ids = {"bos_token_id": BOS, "eos_token_id": [EOS, 1]}
    (folder / "generation_config.json").write_text(json.dumps(ids))
    train_bpe(WORDS, size=270).save(str(folder / "tokenizer.json"))
    return model, folder


@pytest.fixture(params=[(kind, False) for kind in FAMILIES] + [("qwen3", True)])
def origin(request, tmp_path):
    """A tiny random language model, and its folder."""
    pytest.importorskip("transformers")
    kind, tie = request.param
    return saved(language_model(kind, rows=ROWS, tie=tie), tmp_path)


def codec_of(folder) -> Codec:
    text = TextModality(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return Codec([text, GridModality(codebook=50, shape=(2, 2))])


def started(folder, codec, **options):
    """A model of a folder's sizes that starts from it, and what was taken over."""
    origin = open_origin(str(folder))
    sizes = vars(origin.sizes(max_length=64))
    model = Transformer(TransformerConfig(TransformerSizes(**sizes), codec.vocabulary.size)).eval()
    return model, origin.start(model, codec, **options)


@pytest.mark.parametrize("new_head", ["mean", "zero"])
@torch.no_grad()
def test_text_logits_are_the_language_models(origin, new_head):
    theirs, folder = origin
    codec = codec_of(folder)
    ours, start = started(folder, codec, new_head=new_head)
    known = codec.modalities["text"].size
    ids = torch.randint(known, (2, 17))
    positions = torch.arange(17)[None, :, None].expand(2, -1, 3)
    logits = ours.head(ours(ids, positions), range(known))
    assert (logits - theirs(ids).logits[..., :known]).abs().max() <= 1e-4
    old = theirs.get_input_embeddings()(torch.arange(known))
    assert start.scale == pytest.approx(old.square().mean().sqrt().item(), rel=1e-4)
    assert start.known_ids == (range(known),) and isinstance(open_origin(str(folder)), LanguageModel)
    vocabulary = codec.vocabulary
    new = [*range(vocabulary.begin("text"), vocabulary.pad + 1), *vocabulary.ids("image")]
    assert torch.allclose(ours.embedding.weight[new], old.mean(dim=0), atol=1e-5)
    new_rows = ours.unembedding.weight[new]
    mean = theirs.lm_head.weight[:known].mean(dim=0)
    expected = mean if new_head == "mean" or ours.sizes.tie_embeddings else torch.zeros_like(mean)
    assert torch.allclose(new_rows, expected.expand_as(new_rows), atol=1e-6)


@torch.no_grad()
def test_ids_that_begin_and_end_texts_start_as_the_language_models(origin):
    theirs, folder = origin
    codec = codec_of(folder)
    ours, _ = started(folder, codec, new_head="zero")
    vocabulary, embedded = codec.vocabulary, theirs.get_input_embeddings()
    ends = (vocabulary.end("text"), EOS), (vocabulary.document_end, EOS)
    for new, old in ((vocabulary.document_begin, BOS), *ends):
        assert torch.allclose(ours.embedding.weight[new], embedded(torch.tensor(old)), atol=1e-5)
        assert torch.equal(ours.unembedding.weight[new], theirs.lm_head.weight[old])


@pytest.mark.parametrize("name", SEEING)
@torch.no_grad()
def test_a_run_starts_from_the_language_model_inside_one_that_sees(name, tmp_path):
    theirs, folder = saved(seeing_model(name, rows=ROWS), tmp_path)
    codec = codec_of(folder)
    ours, _ = started(folder, codec)
    ids = torch.randint(1, codec.modalities["text"].size, (2, 17))
    positions = torch.arange(17)[None, :, None].expand(2, -1, 3)
    logits = ours.head(ours(ids, positions), range(codec.modalities["text"].size))
    assert (logits - text_logits(theirs, ids)[..., : logits.shape[-1]]).abs().max() <= 1e-4


def test_a_language_models_other_tokenizer_is_refused_with_the_numbers(origin):
    _, folder = origin
    letters = [chr(97 + i % 26) * (1 + i // 26) + chr(97 + i * 7 % 26) for i in range(400)]
    train_bpe([" ".join(letters)] * 2, size=400).save(str(folder / "tokenizer.json"))
    codec = codec_of(folder)
    with pytest.raises(
        ValueError, match=f"{ROWS} embedding rows for a text tokenizer of {codec.modalities['text'].size}"
    ):
        started(folder, codec)


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        open_origin(str(tmp_path)).sizes(max_length=8)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ValueError, match="gpt2"):
        open_origin(str(tmp_path)).sizes(max_length=8)


# ---- own folders


def image_document(model: UniTok, seed: int = 3):
    """An image and two texts as codes."""
    image = model.codec.modalities["image"]
    codes = torch.randint(image.codebook_size, (6,), generator=torch.Generator().manual_seed(seed))
    picture = image.decode(codes, (2, 3))
    return Segment("text", "a fox"), Segment("image", picture), Segment("text", "brown?")


def logits(model: Transformer, codec: Codec, document):
    """What a model says of a document's next ids, of the blocks of text and image alone."""
    tokens = codec.join(codec.encode(document))
    hidden = model(tokens.ids[None], tokens.positions[None])
    return torch.cat([model.head(hidden, codec.vocabulary.block(name)) for name in ("text", "image")], dim=-1)


def again(model: UniTok, *, shape=(2, 3), more=(), positions="grid") -> Codec:
    """A codec of the same tokenizers, with other modalities after them."""
    text, image = (model.codec.modalities[name] for name in ("text", "image"))
    return Codec([text, ImageModality(image.tokenizer, shape=shape), *more], positions=positions)


MORE = {
    "the same": ((), ()),
    "one is new": ((), (BoxModality(),)),
    "one is gone": ((BoxModality(),), ()),
    "another order": ((BoxModality(), PointModality()), (PointModality(), BoxModality())),
}


@pytest.mark.parametrize("before, now", MORE.values(), ids=MORE)
@torch.no_grad()
def test_an_own_model_says_what_it_said(tmp_path, before, now):
    folder, old = tmp_path / "model", tiny_model(more=before, tasks=[LearnedTask("captions")])
    old.save_pretrained(folder)
    codec = again(old, more=now)
    model, start = started(folder, codec)
    init_from_features(model, codec, scale=start.scale, known_ids=start.known_ids)
    document = image_document(old)
    difference = logits(model, codec, document) - logits(old.model, old.codec, document)
    assert difference.abs().max() <= 1e-5
    assert torch.equal(model.blocks[0].attention.qkv.weight, old.model.blocks[0].attention.qkv.weight)
    if "box" in codec.modalities and "box" in old.codec.modalities:
        box = (*document, Segment("box", Box(0.1, 0.2, 0.3, 0.4)))
        assert (logits(model, codec, box) - logits(old.model, old.codec, box)).abs().max() <= 1e-5
    taken = sum(len(ids) for ids in start.known_ids)
    new = [m for m in now if m.name not in old.codec.modalities]
    assert taken == codec.vocabulary.size - sum(modality.size + 2 for modality in new)
    assert start.tasks == (LearnedTask("captions"),)


@torch.no_grad()
def test_new_rows_lie_as_their_codes_do_and_the_head_begins_at_the_mean(tmp_path):
    folder, old = tmp_path / "model", tiny_model()
    old.save_pretrained(folder)
    codec = again(old, more=[BoxModality()])
    model, start = started(folder, codec)
    init_from_features(model, codec, scale=start.scale, known_ids=start.known_ids)
    ids = codec.vocabulary.codes("box")
    boxes = model.embedding.weight[ids.start : ids.stop]
    assert (boxes[0] - boxes[1]).norm() < (boxes[0] - boxes[500]).norm()
    text = old.model.unembedding.weight[: old.codec.modalities["text"].size]
    expected = text.mean(dim=0).expand(len(ids), -1)
    assert torch.allclose(model.unembedding.weight[ids.start : ids.stop], expected, atol=1e-6)


@torch.no_grad()
def test_pictures_of_any_size_keep_the_codes_that_are_known(tmp_path):
    folder, old = tmp_path / "model", tiny_model()
    old.save_pretrained(folder)
    codec = again(old, shape=None)
    model, _ = started(folder, codec)
    cells = codec.vocabulary.to_range("image", codec.modalities["image"].cells)
    before = old.codec.vocabulary.codes("image")
    assert len(cells) == len(before) < len(codec.vocabulary.codes("image"))
    taken, given = (m.embedding.weight for m in (model, old.model))
    assert torch.equal(taken[cells.start : cells.stop], given[before.start : before.stop])
    assert torch.equal(taken[codec.vocabulary.begin("image")], given[old.codec.vocabulary.begin("image")])


def test_other_tokenizers_are_refused_with_what_to_do(tmp_path):
    folder, old = tmp_path / "model", tiny_model()
    old.save_pretrained(folder)
    assert isinstance(open_origin(str(folder)), OwnModel)
    text, image = (old.codec.modalities[name] for name in ("text", "image"))
    other_text = TextModality(train_bpe(WORDS, size=text.size + 20))
    with pytest.raises(ValueError, match=rf"another text tokenizer.*text_tokenizer {folder}/tokenizer\.json"):
        started(folder, Codec([other_text, image]))
    with torch.no_grad():
        next(image.tokenizer.parameters()).add_(1)
    with pytest.raises(ValueError, match=rf"another image tokenizer.*_tokenizer {folder}/image_tokenizer"):
        started(folder, Codec([text, image]))


@torch.no_grad()
def test_new_words_begin_as_the_mean_of_their_old_pieces(tmp_path):
    folder, old = tmp_path / "model", tiny_model(more=[BoxModality(9)])
    old.save_pretrained(folder)
    text, image = (old.codec.modalities[name] for name in ("text", "image"))
    codec = Codec([TextModality(train_bpe(WORDS, size=text.size + 20)), image, BoxModality(9)])
    model, start = started(folder, codec, new_words=True)
    word = codec.modalities["text"].tokenizer.encode("jumps").ids
    pieces = text.encode(codec.modalities["text"].decode(torch.tensor(word[:1])))[0]
    for now, before in ((model.embedding, old.model.embedding), (model.unembedding, old.model.unembedding)):
        assert torch.allclose(now.weight[word[0]], before.weight[pieces].mean(dim=0), atol=1e-6)
        for name in ("image", "box"):
            ids, were = codec.vocabulary.codes(name), old.codec.vocabulary.codes(name)
            assert torch.equal(now.weight[ids.start : ids.stop], before.weight[were.start : were.stop])
    assert sum(len(ids) for ids in start.known_ids) == codec.vocabulary.size
    with pytest.raises(ValueError, match="another text tokenizer"):
        started(folder, codec)


@torch.no_grad()
def test_new_words_of_no_text_begin_as_the_mean_of_all(tmp_path):
    folder, old = tmp_path / "model", tiny_model()
    old.save_pretrained(folder)
    text, image = (old.codec.modalities[name] for name in ("text", "image"))
    words = Tokenizer(WordLevel({"\u2581": 0, "\u2581a": 1}, unk_token="\u2581a"))
    words.decoder = Metaspace()  # the first space of a text is none
    assert words.decode([0]) == ""
    model, _ = started(folder, Codec([TextModality(words), image]), new_words=True)
    middle = old.model.embedding.weight[: text.size].mean(dim=0)
    assert torch.allclose(model.embedding.weight[0], middle, atol=1e-6)


def test_other_positions_and_bins_are_refused(tmp_path):
    folder, old = tmp_path / "model", tiny_model(more=[BoxModality(9)])
    old.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"give --data\.codec\.positions grid"):
        started(folder, again(old, positions="sequential"))
    with pytest.raises(ValueError, match=r"another box tokenizer.*its settings"):
        started(folder, again(old, more=[BoxModality()]))
