"""A bridge starts with the weights of its own file or of a model's; what does not fit is named."""

import pytest
import torch
from torch import Tensor, nn

from unitok.models.vision.bridge import Bridge, Projector
from unitok.models.vision.bridge_weights import load_bridge
from unitok.models.weights import write_weights


def new_bridge(encoder: nn.Module | None = None) -> Bridge:
    return Bridge(Projector(hidden=6, norm="none").build(48, 32, (2, 2)), encoder)


def weights_of(bridge: Bridge) -> dict[str, Tensor]:
    return {name: torch.randn_like(weight) for name, weight in bridge.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "bridge."])
def test_it_has_the_weights_of_the_file(prefix, tmp_path):
    bridge = new_bridge(nn.Conv2d(3, 4, 1))
    weights = weights_of(bridge)
    others = {"embedding.weight": torch.ones(3)} if prefix else {}
    write_weights(tmp_path / "a", others | {prefix + name: weight for name, weight in weights.items()})
    load_bridge(bridge, tmp_path / "a")
    assert bridge.initialised and not new_bridge().initialised
    assert all(torch.equal(weight, weights[name]) for name, weight in bridge.state_dict().items())


def test_an_encoder_that_is_not_in_the_file_stays(tmp_path):
    write_weights(tmp_path / "a", weights_of(new_bridge()))
    encoder = nn.Conv2d(3, 4, 1)
    before = encoder.weight.clone()
    load_bridge(new_bridge(encoder), tmp_path / "a")
    assert torch.equal(encoder.weight, before)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers.out.weight": torch.ones(48, 6)}, "the bridge makes 48, the model has 32"),
        ({"layers.first.weight": None}, r"tensor first.weight must be \(6, 48\), got absent"),
        ({"layers.first.weight": torch.ones(6, 9)}, r"tensor first.weight must be \(6, 48\), got \(6, 9\)"),
    ],
)
def test_a_file_that_does_not_fit_is_named(changes, said, tmp_path):
    weights = {name: one for name, one in (weights_of(new_bridge()) | changes).items() if one is not None}
    write_weights(tmp_path / "a", weights)
    with pytest.raises(ValueError, match=f"{tmp_path}/a: {said}") as error:
        load_bridge(new_bridge(), tmp_path / "a")
    assert "\n" not in str(error.value)
