"""A vision folder keeps settings, the encoder's files and the bridge's weights; a model's folder is one."""

import json

import pytest
import torch

from tests.tiny_model import tiny_model
from unitok.modalities.vision import VisionConfig, open_vision
from unitok.modalities.vision_folder import VisionFolder, read_vision_folder
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Network, Patches

CONFIG = VisionConfig(Patches(4, size=(8, 8)), Projector(hidden=6, norm="none"))
WEIGHTS = {
    "layers.first.weight": torch.randn(6, 48),
    "layers.first.bias": torch.randn(6),
    "layers.out.weight": torch.randn(32, 6),
    "layers.out.bias": torch.randn(32),
}


def test_a_folder_gives_its_settings_and_weights(tmp_path):
    VisionFolder(CONFIG, WEIGHTS).save_pretrained(tmp_path / "vision")
    config = read_vision_folder(tmp_path / "vision")
    assert config.bridge_weights == str(tmp_path / "vision/bridge.safetensors")
    assert config.to_json() == CONFIG.to_json()
    model = tiny_model(vision=config)
    for name, weight in WEIGHTS.items():
        assert torch.equal(model.model.bridge.state_dict()[name], weight)
    assert model.model.bridge.initialised
    VisionFolder(CONFIG, {}).save_pretrained(tmp_path / "new")
    config = read_vision_folder(tmp_path / "new")
    assert config.bridge_weights is None and not tiny_model(vision=config).model.bridge.initialised


def test_a_models_folder_gives_what_it_learned(tmp_path):
    vit = Network(ViT(factor=4, width=8, depth=1, heads=2, hidden=8), channels=6, size=(16, 16))
    for config in (VisionConfig(Latents()), VisionConfig(vit, precompute=False)):
        model = tiny_model(vision=config)
        folder = tmp_path / type(config.encoder).__name__
        model.save_pretrained(folder)
        found = open_vision(read_vision_folder(folder), model.codec.modalities.values())
        assert found.fingerprint() == model.codec.vision.fingerprint()
        bridge, expected = found.bridge_builder()(32).state_dict(), model.model.bridge.state_dict()
        assert bridge.keys() == expected.keys()
        assert all(torch.equal(bridge[name], expected[name]) for name in bridge)


def test_a_model_that_started_from_a_folder_keeps_no_word_of_it(tmp_path):
    VisionFolder(CONFIG, WEIGHTS).save_pretrained(tmp_path / "vision")
    tiny_model(vision=read_vision_folder(tmp_path / "vision")).save_pretrained(tmp_path / "model")
    assert "bridge_weights" not in (tmp_path / "model/config.json").read_text()


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not a vision folder .config.json is missing"):
        read_vision_folder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    with pytest.raises(
        ValueError, match="must be a vision folder or a model with vision, got model_type 'sig"
    ):
        read_vision_folder(tmp_path)
    with pytest.raises(FileExistsError, match="is not a vision folder"):
        VisionFolder(CONFIG, {}).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unitok_vision", "encoder": {}}))
    with pytest.raises(ValueError, match=r"config.json: must be an object with encoder"):
        read_vision_folder(tmp_path)
