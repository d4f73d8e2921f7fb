"""The language model of a folder, alone or inside a model that sees, whatever its names and files."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_language_models import FAMILIES, ROWS, SEEING, language_model, seeing_model, text_logits
from unitok.interop.language.folder import LanguageFolder
from unitok.modalities.text import train_bpe
from unitok.models.transformer import Transformer, TransformerConfig

pytest.importorskip("transformers")


@torch.no_grad()
def logits_of(folder, ids):
    """What our transformer says with the weights of a folder."""
    opened = LanguageFolder(folder)
    sizes = opened.sizes(max_length=64)
    model = Transformer(TransformerConfig(sizes, ROWS)).eval()
    model.load_state_dict(opened.weights(sizes))
    positions = torch.arange(ids.shape[1])[None, :, None].expand(len(ids), -1, 3)
    return model.head(model(ids, positions))


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("kind", FAMILIES)
@torch.no_grad()
def test_a_language_model_opens(kind, tie, tmp_path):
    theirs, ids = language_model(kind, tie=tie), torch.randint(ROWS, (2, 17))
    theirs.save_pretrained(tmp_path)
    assert (logits_of(tmp_path, ids) - theirs(ids).logits).abs().max() <= 1e-4


@pytest.mark.parametrize("layout", ["of transformers", "of the hub", "in shards"])
@pytest.mark.parametrize("name", SEEING)
@torch.no_grad()
def test_the_one_inside_a_model_that_sees_opens(name, layout, tmp_path):
    theirs, ids = seeing_model(name), torch.randint(1, ROWS, (2, 17))
    theirs.save_pretrained(tmp_path, max_shard_size="30KB" if layout == "in shards" else "5GB")
    if layout == "in shards":
        assert len(list(tmp_path.glob("*.safetensors"))) > 2
    else:
        rename(tmp_path / "model.safetensors", to_hub=layout == "of the hub")
    assert (logits_of(tmp_path, ids) - text_logits(theirs, ids)).abs().max() <= 1e-4


def rename(path, *, to_hub: bool):
    """Writes the tensors of a model by the names of transformers' modules, or of older folders of the hub."""
    new, old = ("model.language_model.", "lm_head."), ("language_model.model.", "language_model.lm_head.")
    pairs = list(zip(new, old, strict=True) if to_hub else zip(old, new, strict=True))
    renamed = {}
    for name, tensor in load_file(path).items():
        now = next((b + name.removeprefix(a) for a, b in pairs if name.startswith(a)), name)
        renamed[now] = tensor
    assert any(name.startswith(pairs[0][1]) for name in renamed)
    save_file(renamed, path, metadata={"format": "pt"})


def test_a_folder_without_the_language_model_is_named(tmp_path):
    language_model("llama").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.embed_tokens.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"no tensor embed_tokens\.weight"):
        LanguageFolder(tmp_path).sizes(max_length=8)


def test_pickled_weights_are_no_weights(tmp_path):
    language_model("llama").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"got pytorch_model\.bin, a pickle"):
        LanguageFolder(tmp_path).sizes(max_length=8)


IDS = {
    "generation": ({"generation_config.json": {"eos_token_id": [7, 8]}}, 7),
    "config": ({"config.json": {"eos_token_id": 9}}, 9),
    "config inside": ({"config.json": {"eos_token_id": 9, "text_config": {"eos_token_id": 5}}}, 5),
    "config outside": ({"config.json": {"eos_token_id": 9, "text_config": {"eos_token_id": None}}}, 9),
    "token": ({"tokenizer_config.json": {"eos_token": {"content": "a"}}}, "a"),
    "unknown token": ({"tokenizer_config.json": {"eos_token": "no such token"}}, None),
    "none": ({}, None),
}


@pytest.mark.parametrize("files, expected", IDS.values(), ids=IDS)
def test_the_end_of_a_text_is_found(files, expected, tmp_path):
    for name, values in ({"config.json": {}} | files).items():
        (tmp_path / name).write_text(json.dumps(values))
    tokenizer = train_bpe(["a text"], size=260)
    expected = tokenizer.token_to_id(expected) if isinstance(expected, str) else expected
    assert LanguageFolder(tmp_path).special_id("eos", tokenizer) == expected
