"""New bridges give vectors of the asked size; projectors read each place, or squares of them, as peers do."""

from functools import partial

import pytest
import torch

from unitok.models.vision.bridge import Bridge, Projector, merge_neighbours
from unitok.models.vision.encoder import Patches
from unitok.models.vision.qformer import QFormer
from unitok.models.vision.resampler import Resampler

BRIDGES = [
    *(Projector(hidden, norm) for hidden in (0, 256) for norm in ("none", "each", "before", "after")),
    *(Projector(256, norm, merge=2) for norm in ("each", "before")),
    Resampler(queries=20, heads=2, head_width=24),
    QFormer(queries=20, width=32, layers=3, heads=2, hidden=64),
]


@pytest.mark.parametrize("config", BRIDGES, ids=str)
def test_a_new_bridge_gives_vectors_of_the_asked_size(config):
    torch.manual_seed(0)
    layers = config.build(48, 64, (4, 10))
    layers.scale_to(0.3)
    vectors = Bridge(layers)(torch.randn(8, 40, 48)).detach()
    shape = config.places((4, 10))
    assert vectors.shape == (8 * torch.Size(shape).numel(), 64)
    assert float(vectors.square().mean().sqrt()) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.parametrize("kind", [Resampler, partial(QFormer, width=12, layers=2)])
def test_queries_know_the_places_of_what_they_read_where_they_are_told(kind, positions):
    torch.manual_seed(0)
    layers, x = kind(queries=3, heads=2, positions=positions).build(10, 16, (2, 4)), torch.randn(1, 8, 10)
    assert torch.allclose(layers(x), layers(x.flip(1)), atol=1e-5) != positions


def test_pixels_go_through_the_encoder_of_a_bridge():
    layers = Projector().build(12, 7, (2, 3))
    pixels = torch.randint(0, 256, (3, 3, 4, 6), dtype=torch.uint8)
    encoder = Patches(2).build(None)
    seen = encoder(pixels / 127.5 - 1).flatten(2).mT
    assert torch.allclose(Bridge(layers, encoder)(pixels), Bridge(layers)(seen), atol=1e-6)


def test_neighbours_are_merged_row_by_row():
    x = torch.arange(2 * 4 * 6).view(2, 24, 1).float()
    first, second = merge_neighbours(x, (4, 6), 2)[:, :4].int().tolist()
    assert first == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11], [12, 13, 18, 19]]
    assert [[n - 24 for n in one] for one in second] == first


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="hidden must be an integer of at least 0, got -1"):
        Projector(-1)
    with pytest.raises(ValueError, match="merge=0"):
        Projector(merge=0)
    with pytest.raises(ValueError, match=r"bridge.merge must divide the encoder's grid of \(4, 3\), got 2"):
        Projector(merge=2).places((4, 3))


def test_a_projector_is_the_peers_with_their_weights():
    """InternVL's pixel shuffle and projector; Qwen2-VL's merger, which reads neighbours one after another."""
    internvl = pytest.importorskip("transformers.models.internvl.modeling_internvl")
    qwen2 = pytest.importorskip("transformers.models.qwen2_vl.modeling_qwen2_vl")
    config = internvl.InternVLConfig(
        vision_config={"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "intermediate_size": 16, "image_size": [16, 16], "patch_size": [4, 4]},
        text_config={"model_type": "qwen2", "hidden_size": 20, "num_hidden_layers": 1,
                     "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16,
                     "vocab_size": 32},
        image_token_id=31,
    )  # fmt: skip
    model = internvl.InternVLForConditionalGeneration(config).eval().model
    peer, pixels = model.multi_modal_projector, torch.randn(2, 3, 16, 16)
    layers = Projector(hidden=20, norm="before", merge=2).build(12, 20, (4, 4))
    names = {"before": "layer_norm", "first": "linear_1", "out": "linear_2"}
    load(layers, peer, names)
    with torch.no_grad():
        seen = model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        expected = model.get_image_features(
            pixels, vision_feature_layer=-1, vision_feature_select_strategy="default"
        ).pooler_output
        assert torch.allclose(layers(seen), expected, atol=1e-4)

    merger = qwen2.PatchMerger(dim=20, context_dim=12)
    layers = Projector(hidden=48, norm="each", merge=2).build(12, 20, (4, 6))
    load(layers, merger, {"each": "ln_q", "first": "mlp.0", "out": "mlp.2"})
    x = torch.randn(3, 24, 12)
    with torch.no_grad():
        expected = merger(merge_neighbours(x, (4, 6), 2).reshape(-1, 12)).view(3, 6, 20)
        assert torch.allclose(layers(x), expected, atol=1e-4)


def load(layers: torch.nn.Module, peer: torch.nn.Module, names: dict[str, str]) -> None:
    """Give layers the weights of a peer's, by our name and theirs."""
    weights = peer.state_dict()
    parts = ("weight", "bias")
    ours = {f"{name}.{part}": weights[f"{theirs}.{part}"] for name, theirs in names.items() for part in parts}
    layers.load_state_dict(ours)
