"""The Q-Former is BLIP-2's with its weights."""

import pytest
import torch

from unitok.models.vision.qformer import QFormer

NAMES = {
    **{f"attention.{part}": f"attention.attention.{part}" for part in ("query", "key", "value")},
    **{f"cross.{part}": f"crossattention.attention.{part}" for part in ("query", "key", "value")},
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "cross.out": "crossattention.output.dense",
    "cross_norm": "crossattention.output.LayerNorm",
    "up": "intermediate_query.dense",
    "down": "output_query.dense",
    "feed_forward_norm": "output_query.LayerNorm",
}


def test_it_is_blip_2_with_the_same_weights():
    peers = pytest.importorskip("transformers.models.blip_2")
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    peer = peers.Blip2QFormerModel(peers.Blip2QFormerConfig(encoder_hidden_size=24, **sizes)).eval()
    config = QFormer(queries=5, width=32, layers=3, heads=4, hidden=48, positions=False)
    layers = config.build(24, 32, (2, 4))
    theirs, ours = peer.state_dict(), {}
    for name in layers.state_dict():
        if name.startswith("layers."):
            _, layer, rest = name.split(".", 2)
            part, _, kind = rest.rpartition(".")
            ours[name] = theirs[f"encoder.layer.{layer}.{NAMES[part]}.{kind}"]
    queries = torch.randn(5, 32)
    ours |= {"queries": queries, "out.weight": torch.eye(32), "out.bias": torch.zeros(32)}
    ours |= {f"norm.{kind}": theirs[f"layernorm.{kind}"] for kind in ("weight", "bias")}
    layers.load_state_dict(ours)
    x = torch.randn(3, 8, 24)
    with torch.no_grad():
        expected = peer(query_embeds=queries.expand(3, -1, -1), encoder_hidden_states=x).last_hidden_state
        assert torch.allclose(layers(x), expected, atol=1e-4)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="heads must divide width=10, got 3"):
        QFormer(width=10, heads=3)
    with pytest.raises(ValueError, match="every=0"):
        QFormer(every=0)
