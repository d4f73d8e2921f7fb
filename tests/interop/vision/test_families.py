"""Towers of Qwen2-VL and its successors give the states before their merger, row by row."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_towers import randomise, save_tower
from unitok.interop.vision.families import FAMILIES
from unitok.interop.vision.pretrained import Pretrained
from unitok.models.vision.bridge import merge_neighbours

transformers = pytest.importorskip("transformers")
SIZES = {"depth": 3, "num_heads": 2, "patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2}
QWENS = {
    "qwen2_vl": {"embed_dim": 32, "hidden_size": 40, "mlp_ratio": 2},
    "qwen2_5_vl": {
        "hidden_size": 32, "out_hidden_size": 40, "intermediate_size": 48, "window_size": 32,
        "fullatt_block_indexes": [1],
    },
    "qwen3_vl": {
        "hidden_size": 32, "out_hidden_size": 40, "intermediate_size": 48, "num_position_embeddings": 16,
        "deepstack_visual_indexes": [1],
    },
}  # fmt: skip
SIZE = (48, 80)


def tiny_qwen(kind: str, folder):
    torch.manual_seed(0)
    model = FAMILIES[kind].find()
    tower = randomise(model(model.config_class(**SIZES | QWENS[kind])))
    processor = transformers.Qwen2VLImageProcessorPil(
        patch_size=8, size={"shortest_edge": 1, "longest_edge": 9999}
    )
    return tower, processor, save_tower(tower, folder, processor)


@torch.no_grad()
@pytest.mark.parametrize("kind", QWENS)
def test_states_before_the_merger_are_theirs(kind, tmp_path):
    tower, processor, folder = tiny_qwen(kind, tmp_path / "origin")
    images = [
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (*SIZE, 3), dtype=np.uint8)) for n in (0, 1)
    ]
    inputs = processor(images, return_tensors="pt")
    assert inputs["image_grid_thw"].tolist() == [[1, 6, 10]] * 2
    expected = tower(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
    encoder = Pretrained(str(folder), layer=None, size=SIZE)
    module = encoder.build(None)
    encoder.save(tmp_path / "copy", module)
    shutil.rmtree(folder)
    copy = encoder.placed(tmp_path / "copy")
    fitted = np.stack([np.array(copy.fit(image, SIZE)) for image in images])
    pixels = torch.from_numpy(fitted).permute(0, 3, 1, 2) / 127.5 - 1
    states = copy.build(None)(pixels)
    assert states.shape == (2, 32, 6, 10) and copy.grid(SIZE, None) == (6, 10) and copy.dim(None) == 32
    joined = merge_neighbours(states.flatten(2).mT, (6, 10), 2)
    found = tower.merger(joined.reshape(-1, 32))
    assert (found - expected).abs().max() < 1e-4
    assert torch.equal(module(pixels), states)


def test_a_size_must_be_given_and_consist_of_squares(tmp_path):
    _, _, folder = tiny_qwen("qwen2_vl", tmp_path)
    with pytest.raises(
        ValueError, match=r"encoder.size must be \(height, width\), as its images have any size"
    ):
        Pretrained(str(folder)).input_size(None)
    with pytest.raises(ValueError, match=r"encoder.size must be multiples of 16 pixels, got \(48, 72\)"):
        Pretrained(str(folder)).grid((48, 72), None)
