"""Models that see by a pretrained encoder are trained from its folder, a vision folder, and in stages."""

import shutil

import pytest
import torch

from tests.generation.test_likelihood import make_image
from tests.tiny_towers import save_tower, tiny_tower
from unitok.api.unitok import UniTok
from unitok.interop.vision.pretrained import Pretrained
from unitok.modalities.vision import VisionConfig
from unitok.modalities.vision_folder import VisionFolder
from unitok.models.vision.bridge import Projector

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
CAPTIONS = ("--data.task.name", "caption", "--data.task.unprompted", "[image]")
SMALL = ("--data.batch_size", "4", "--model.compute.compile", "false")


@pytest.fixture(scope="module")
def tower(tmp_path_factory) -> str:
    return str(save_tower(tiny_tower("siglip_vision_model"), tmp_path_factory.mktemp("tower")))


def test_stages_train_the_bridge_and_then_the_encoder_too(train, tower, tmp_path):
    shutil.copytree(tower, tmp_path / "siglip")
    encoder = f"{{class_path: Pretrained, init_args: {{folder: {tmp_path}/siglip}}}}"
    vision = f"{{encoder: {encoder}, bridge: {{class_path: Projector}}, precompute: false}}"
    first, _ = train("align", "--data.codec.vision", vision, *CAPTIONS, *SMALL, steps=1)
    shutil.rmtree(tmp_path / "siglip")
    before = {name: weight.clone() for name, weight in first.model.model.bridge.state_dict().items()}
    whole = ("--model.start.parts", "[encoder, bridge, rows, words, blocks]")
    start = ("--model.start.init_from", str(tmp_path / "align/model"), "--data.codec.image_tokenizer", "null")
    second, _ = train("instruct", *start, *whole, *SMALL, steps=2)  # vision is that of the folder
    after = second.model.model.bridge.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    model, image = UniTok.from_pretrained(tmp_path / "instruct/model"), make_image(1)
    found = model.model.bridge.state_dict()
    assert all(torch.equal(after[name], found[name]) for name in after)
    assert model.caption(image) == second.model.model_with_codec().caption(image)


def test_a_vision_folder_gives_its_encoder_and_its_bridge(train, tower, tmp_path, capsys):
    config = VisionConfig(Pretrained(tower), Projector(hidden=8, norm="none"))
    bridge = {f"layers.{k}": v for k, v in config.bridge.build(32, 32, (3, 3)).state_dict().items()}
    VisionFolder(config, bridge).save_pretrained(tmp_path / "vision")
    folder = ("--data.codec.vision", str(tmp_path / "vision"))
    cli, _ = train("run", *folder, *CAPTIONS, *SMALL, "--model.start.parts", "[rows]", steps=1)
    found = cli.model.model.bridge.state_dict()
    assert all(torch.equal(bridge[name], found[name]) for name in bridge)
    with pytest.raises(SystemExit):
        train("wide", *folder, "--model.sizes.width", "64", steps=1)
    assert "bridge.safetensors: the bridge makes 32, the model has 64" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("raw", "--data.codec.vision", tower, steps=1)
    assert "must be a vision folder or a model with vision, got model_type 'siglip" in capsys.readouterr().err
