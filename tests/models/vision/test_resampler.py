"""The resampler is Idefics' with its weights."""

import pytest
import torch

from unitok.models.vision.resampler import Resampler

NAMES = {
    "key_norm": "0.context_layer_norm",
    "query_norm": "0.latents_layer_norm",
    "attention.query": "0.q_proj",
    "attention.key": "0.k_proj",
    "attention.value": "0.v_proj",
    "attention.out": "0.output_proj",
    "feed_forward_norm": "1.ln",
    "up": "1.fc",
    "down": "1.c_proj",
}


def test_it_is_idefics_with_the_same_weights():
    peers = pytest.importorskip("transformers.models.idefics.perceiver")
    configs = pytest.importorskip("transformers.models.idefics.configuration_idefics")
    config = configs.IdeficsConfig(vision_config={"embed_dim": 32})
    peer = peers.IdeficsPerceiverResampler(config, 32, 2, 4, 8, 6)
    layers = Resampler(queries=6, layers=2, heads=4, head_width=8, positions=False).build(32, 32, (2, 5))
    theirs, ours = peer.state_dict(), {}
    for name in layers.state_dict():
        if name.startswith("layers."):
            _, layer, rest = name.split(".", 2)
            part, _, kind = rest.rpartition(".")
            ours[name] = theirs[f"blocks.{layer}.{NAMES[part]}.{kind}"]
    ours |= {"queries": theirs["latents"], "out.weight": torch.eye(32), "out.bias": torch.zeros(32)}
    ours |= {f"norm.{kind}": theirs[f"layer_norm.{kind}"] for kind in ("weight", "bias")}
    layers.load_state_dict(ours)
    x = torch.randn(3, 10, 32)
    with torch.no_grad():
        assert torch.allclose(layers(x), peer(x), atol=1e-4)


def test_sizes_that_cannot_be_are_refused():
    for wrong in ({"queries": 0}, {"layers": -1}, {"hidden": -1}):
        with pytest.raises(ValueError, match="{}={}".format(*next(iter(wrong.items())))):
            Resampler(**wrong)
