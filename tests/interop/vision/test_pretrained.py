"""Towers of transformers' folders give the hidden states of transformers, alone and inside whole models."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny_towers import TOWERS, randomise, save_tower, tiny_tower
from unitok.interop.vision.pretrained import Pretrained
from unitok.models.vision.encoder import Encoder
from unitok.models.vision.fused import Fused

transformers = pytest.importorskip("transformers")
FAMILIES = pytest.mark.parametrize("kind", TOWERS)


def pixels(side: int = 24) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def ours(encoder: Encoder, given: torch.Tensor) -> torch.Tensor:
    return encoder.build(None)(given).flatten(2).mT


@FAMILIES
@torch.no_grad()
def test_features_are_transformers_hidden_states(kind, tmp_path):
    tower = tiny_tower(kind)
    folder = str(save_tower(tower, tmp_path))
    expected = tower(pixel_values=pixels(), output_hidden_states=True)
    for layer in (-2, 3):
        encoder = Pretrained(folder, layer=layer, prefix=True)
        assert (ours(encoder, pixels()) - expected.hidden_states[layer]).abs().max() < 1e-4
    last = Pretrained(folder, layer=None, prefix=True)
    assert (ours(last, pixels()) - expected.last_hidden_state).abs().max() < 1e-4
    patches = expected.hidden_states[-2][:, -9:]
    encoder = Pretrained(folder)
    assert (ours(encoder, pixels()) - patches).abs().max() < 1e-4
    assert encoder.grid((24, 24), None) == (3, 3) and encoder.dim(None) == 32 and encoder.cell(None) == 8


@FAMILIES
def test_a_saved_copy_gives_the_same_and_needs_no_origin(kind, tmp_path):
    encoder = Pretrained(str(save_tower(tiny_tower(kind), tmp_path / "origin")))
    module = encoder.build(None)
    encoder.save(tmp_path / "copy", module)
    identity = encoder.identity(module)
    shutil.rmtree(tmp_path / "origin")
    (tmp_path / "copy").rename(tmp_path / "moved")
    copy = encoder.placed("nowhere").placed(tmp_path / "moved")
    with torch.no_grad():
        assert torch.equal(copy.build(None)(pixels()), module(pixels()))
    assert copy.identity(copy.build(None)) == identity
    assert copy == Pretrained(str(tmp_path / "moved"), layer=2)


@torch.no_grad()
def test_two_fused_are_theirs_side_by_side(tmp_path):
    towers = [tiny_tower(kind) for kind in ("siglip_vision_model", "dinov2")]
    folders = [save_tower(tower, tmp_path / str(number)) for number, tower in enumerate(towers)]
    fused = Fused([Pretrained(str(folder)) for folder in folders])
    states = [tower(pixels(), output_hidden_states=True).hidden_states[-2][:, -9:] for tower in towers]
    assert (ours(fused, pixels()) - torch.cat(states, dim=-1)).abs().max() < 1e-4
    assert fused.dim(None) == 64


def test_a_copy_is_as_small_as_its_origin_while_nothing_is_lost(tmp_path):
    tower = tiny_tower("clip_vision_model").half()
    encoder = Pretrained(str(save_tower(tower, tmp_path / "origin")), layer=-1)
    module = encoder.build(None)
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    encoder.save(tmp_path / "frozen", module)
    frozen = load_file(tmp_path / "frozen/model.safetensors")
    origin = load_file(tmp_path / "origin/model.safetensors")
    assert frozen and all(torch.equal(frozen[name], origin[name]) for name in frozen)
    with torch.no_grad():
        module.tower.pre_layrnorm.weight += 1e-6
    encoder.save(tmp_path / "trained", module)
    trained = Pretrained(str(tmp_path / "trained"), layer=-1).build(None).state_dict()
    assert all(torch.equal(trained[name], weight) for name, weight in module.state_dict().items())


def test_identity_tells_weights_and_settings_apart(tmp_path):
    first = Pretrained(str(save_tower(tiny_tower("clip_vision_model"), tmp_path / "a")))
    other = Pretrained(str(save_tower(tiny_tower("clip_vision_model", hidden_act="relu"), tmp_path / "b")))
    last = Pretrained(first.folder, layer=-1)
    module, changed = first.build(None), first.build(None)
    with torch.no_grad():
        changed.tower.pre_layrnorm.weight[0] += 1
    found = [first.identity(module), first.identity(changed), first.identity(None), other.identity(None),
             last.identity(None)]  # fmt: skip
    assert len({one["sha256"] for one in found}) == 5


def whole_models() -> dict[str, object]:
    """Models that hold a tower, by the prefix that its tensors have in their files."""
    from transformers import (
        CLIPConfig,
        CLIPModel,
        LlavaConfig,
        LlavaForConditionalGeneration,
        SiglipConfig,
        SiglipModel,
    )

    text = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
            "vocab_size": 60}  # fmt: skip
    clip, siglip = (tiny_tower(f"{kind}_vision_model").config for kind in ("clip", "siglip"))
    llama = transformers.LlamaConfig(**text)
    return {
        "clip": CLIPModel(CLIPConfig(text_config=text, vision_config=clip.to_dict())),
        "siglip": SiglipModel(SiglipConfig(text_config=text, vision_config=siglip.to_dict())),
        "llava": LlavaForConditionalGeneration(
            LlavaConfig(vision_config=clip, text_config=llama, image_token_index=59)
        ),
    }


@pytest.mark.parametrize("kind", ["clip", "siglip", "llava"])
def test_a_whole_model_is_opened_by_its_tower(kind, tmp_path):
    model = randomise(whole_models()[kind])
    save_tower(model, tmp_path)
    tower = model.model.vision_tower if kind == "llava" else model.vision_model
    with torch.no_grad():
        states = tower(pixel_values=pixels(), output_hidden_states=True).hidden_states[-2][:, -9:]
    assert (ours(Pretrained(str(tmp_path)), pixels()) - states).abs().max() < 1e-4


def test_shards_are_read(tmp_path):
    tower = tiny_tower("siglip_vision_model")
    save_tower(tower, tmp_path)
    expected = ours(Pretrained(str(tmp_path)), pixels())
    (tmp_path / "model.safetensors").unlink()
    tower.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert torch.equal(ours(Pretrained(str(tmp_path)), pixels()), expected)


@pytest.mark.parametrize("kind", ["clip_vision_model", "siglip_vision_model", "dinov2", "internvl_vision"])
@torch.no_grad()
def test_another_size_interpolates_the_positions(kind, tmp_path):
    tower = tiny_tower(kind)
    encoder = Pretrained(str(save_tower(tower, tmp_path)), size=(38, 38))
    more = {"interpolate_pos_encoding": True} if kind.endswith("_model") else {}
    expected = tower(pixel_values=pixels(38), output_hidden_states=True, **more).hidden_states[-2][:, -16:]
    assert (ours(encoder, pixels(38)) - expected).abs().max() < 1e-4
    assert encoder.grid((38, 38), None) == (4, 4)


def test_the_whole_way_from_an_image_is_that_of_transformers(tmp_path):
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    tower = tiny_tower("clip_vision_model")
    encoder = Pretrained(str(save_tower(tower, tmp_path, processor)))
    noise = np.random.default_rng(0).integers(0, 256, (31, 52, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    fitted = torch.from_numpy(np.array(encoder.fit(image, encoder.input_size(None))))
    found = ours(encoder, fitted.permute(2, 0, 1)[None] / 127.5 - 1)
    with torch.no_grad():
        theirs = tower(**processor(image, return_tensors="pt"), output_hidden_states=True)
    assert (found - theirs.hidden_states[-2][:, 1:]).abs().max() < 1e-4


def test_the_device_meta_builds_without_reading_weights(tmp_path):
    encoder = Pretrained(str(save_tower(tiny_tower("siglip_vision_model"), tmp_path)))
    module = encoder.build(None)
    (tmp_path / "model.safetensors").unlink()
    with torch.device("meta"):
        empty = encoder.build(None)
    empty.load_state_dict(module.state_dict(), assign=True)
    with torch.no_grad():
        assert torch.equal(empty(pixels()), module(pixels()))


@FAMILIES
def test_all_weights_are_trained_and_its_augmentation_stays_off(kind, tmp_path):
    module = Pretrained(str(save_tower(tiny_tower(kind), tmp_path))).build(None).train()
    assert torch.equal(module(pixels()), module(pixels()))
    module(pixels()).square().sum().backward()
    assert [name for name, weight in module.named_parameters() if weight.grad is None] == []


OLD = {
    "_name_or_path": "", "architectures": None, "bad_words_ids": None, "finetuning_task": None, "top_k": 50,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0}, "is_decoder": False,
    "pruned_heads": {}, "torch_dtype": None, "transformers_version": "4.16.0.dev0", "use_bfloat16": False,
    "initializer_factor": 1.0, "dropout": 0.0, "projection_dim": 512,
}  # fmt: skip
"""Settings that folders of earlier versions have beside those of the tower."""


@pytest.mark.parametrize("prefix", ["vision_model.", "vision_tower.vision_model."])
def test_a_folder_of_an_earlier_version_is_read(prefix, tmp_path):
    tower = tiny_tower("clip_vision_model")
    folder = save_tower(tower, tmp_path)
    expected = ours(Pretrained(str(folder)), pixels())
    config = json.loads((folder / "config.json").read_text())
    whole = {"model_type": "clip", "vision_config": OLD | config, "text_config": {}}
    (folder / "config.json").write_text(json.dumps(whole))
    tensors = {f"{prefix}{name}": one for name, one in load_file(folder / "model.safetensors").items()}
    tensors[f"{prefix}embeddings.position_ids"] = torch.arange(10)[None]
    tensors["text_model.embeddings.token_embedding.weight"] = torch.ones(3, 3)
    save_file(tensors, folder / "model.safetensors")
    assert torch.equal(ours(Pretrained(str(folder)), pixels()), expected)


def tampered(folder, **tensors):
    """Change or, with None, remove tensors of a folder."""
    path = folder / "model.safetensors"
    found = load_file(path) | tensors
    save_file({name: tensor for name, tensor in found.items() if tensor is not None}, path)


LAST = "encoder.layers.1.mlp.fc1.bias"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: tampered(f, **{LAST: None}), rf"tensor {LAST} must be \(48,\), got absent"),
        (lambda f: tampered(f, **{LAST: torch.ones(9)}), rf"tensor {LAST} must be \(48,\), got \(9,\)"),
        (lambda f: tampered(f, **{"embeddings.patch_embedding.weight": None}), "tensor embeddings.patch_emb"),
        (lambda f: shutil.rmtree(f), "not a model folder .config.json is missing"),
        (lambda f: (f / "model.safetensors").unlink(), "not a model folder .model.safetensors is missing"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pytorch_model.bin, a pickle"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "corrupt or not safetensors"),
        (lambda f: (f / "config.json").write_text('{"model_type": "vit_mae"}'),
         "must be one of clip_vision_model, siglip_vision_model, .*, got 'vit_mae'"),
        (lambda f: (f / "config.json").write_text('{"model_type": "siglip_vision_model", "patch_size": "a"}'),
         "config.json cannot be read as siglip_vision_model"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read_is_named(spoil, said, tmp_path):
    folder = save_tower(tiny_tower("siglip_vision_model"), tmp_path / "tower")
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=said) as error:
        Pretrained(str(folder)).build(None)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize("layer", [0, 4, -5])
def test_a_layer_that_is_not_there_is_refused(layer, tmp_path):
    folder = str(save_tower(tiny_tower("dinov2"), tmp_path))
    with pytest.raises(ValueError, match=f"layer must be in -3..3 and not 0, got {layer}"):
        Pretrained(folder, layer=layer).build(None)


def test_a_size_that_a_tower_cannot_see_is_refused(tmp_path):
    folder = str(save_tower(tiny_tower("aimv2_vision_model"), tmp_path))
    with pytest.raises(ValueError, match=r"encoder.size must be that of .*, 24 x 24, got \(32, 32\)"):
        Pretrained(folder).grid((32, 32), None)
    with pytest.raises(
        ValueError, match=r"encoder.size must be at least its cell of 8 pixels, got \(4, 24\)"
    ):
        Pretrained(folder).grid((4, 24), None)


def test_transformers_that_is_missing_is_told(tmp_path, monkeypatch):
    folder = str(save_tower(tiny_tower("dinov2"), tmp_path))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"Pretrained needs transformers: pip install 'unitok-lm\[vision\]'"):
        Pretrained(folder).build(None)


def test_a_later_family_is_told(tmp_path, monkeypatch):
    folder = save_tower(tiny_tower("dinov2"), tmp_path)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "dinov3_vit"}))
    monkeypatch.setitem(sys.modules, "transformers", json)
    with pytest.raises(ValueError, match="dinov3_vit needs a later transformers"):
        Pretrained(str(folder)).build(None)
