"""A model that sees by a pretrained encoder keeps it in its folder, and does all that others do."""

import shutil

import pytest
import torch

from tests.api import test_unitok_vision as vision
from tests.generation.test_likelihood import make_image
from tests.tiny_towers import save_tower, tiny_tower
from unitok.api.unitok import UniTok
from unitok.interop.vision.pretrained import Pretrained
from unitok.modalities.vision import VisionConfig
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Encoder, Latents
from unitok.models.vision.fused import Fused
from unitok.models.weights import tensor_names

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    for kind in ("siglip_vision_model", "clip_vision_model", "dinov2"):
        save_tower(tiny_tower(kind), folder / kind)
    return folder


def config_of(name: str, folder) -> VisionConfig:
    siglip, clip, dino = (
        Pretrained(str(folder / kind)) for kind in ("siglip_vision_model", "clip_vision_model", "dinov2")
    )
    encoder: Encoder = {"frozen": siglip, "trained": clip}.get(name) or Fused((siglip, dino))
    if name == "mixed":
        encoder = Fused((Latents(size=(12, 12)), dino))
    return VisionConfig(encoder, Projector(hidden=8), precompute=name in ("frozen", "fused"))


@pytest.mark.parametrize("name", ["trained", "fused"])
def test_every_task_sees_images_without_a_new_argument(name, towers):
    vision.test_every_task_sees_images_without_a_new_argument(config_of(name, towers))


@pytest.mark.parametrize("name", ["frozen", "trained", "mixed"])
def test_a_folder_keeps_the_encoder_without_its_origin(name, towers, tmp_path):
    shutil.copytree(towers, tmp_path / "origin")
    model, images = vision.seeing(config_of(name, tmp_path / "origin")), [make_image(1), make_image(2)]
    if not model.codec.vision.config.precompute:
        with torch.no_grad():
            for weight in model.model.bridge.encoder.parameters():
                weight += 0.01 * torch.randn(weight.shape)
    model.save_pretrained(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")  # once more, over the first
    shutil.rmtree(tmp_path / "origin")
    (tmp_path / "model").rename(tmp_path / "moved")
    again = UniTok.from_pretrained(tmp_path / "moved", dtype="float32", verify=True)
    assert again.codec.fingerprint() == model.codec.fingerprint()
    assert again.caption(images) == model.caption(images)
    weights, found = model.model.state_dict(), again.model.state_dict()
    assert weights.keys() == found.keys()
    assert all(torch.equal(weights[key], found[key]) for key in weights)
    again.save_pretrained(tmp_path / "copy")
    assert UniTok.from_pretrained(tmp_path / "copy", dtype="float32").caption(images) == model.caption(images)


def test_weights_of_an_encoder_lie_in_its_own_folder(towers, tmp_path):
    vision.seeing(config_of("trained", towers)).save_pretrained(tmp_path / "model")
    names = tensor_names(tmp_path / "model/model.safetensors")
    assert {name.split(".")[1] for name in names if name.startswith("bridge.")} == {"layers"}
    assert (tmp_path / "model/vision/encoder/model.safetensors").is_file()


def test_a_frozen_encoder_whose_weights_changed_is_noticed(towers, tmp_path):
    vision.seeing(config_of("frozen", towers)).save_pretrained(tmp_path / "model")
    path = tmp_path / "model/vision/encoder/model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"1234")
    with pytest.raises(ValueError, match=r"vision/encoder/model.safetensors: missing or changed"):
        UniTok.from_pretrained(tmp_path / "model", verify=True)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"vision/encoder: not a model folder \(model.safetensors is"):
        UniTok.from_pretrained(tmp_path / "model")
