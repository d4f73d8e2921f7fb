"""Two processes of which some have no image to see train what one process does: replicated, and sharded."""

import pytest
import torch

from tests.training.test_transformer_ranks import STRATEGIES, trained
from tests.training.test_transformer_seeing import VISION as CROSSED
from tests.training.test_transformer_vision import LATENTS, VIT

STEPS = 12
MORE = ("--data.task.name", "both", "--trainer.max_steps", str(STEPS))
KINDS = {
    "latents": (LATENTS,),
    "network": (VIT, "--model.start.parts", "[encoder, bridge, words, rows, blocks]"),
    "cross": (CROSSED, "--model.sizes.variant.cross_every", "1"),
    "visual": (LATENTS, "--model.sizes.variant.visual_rank", "2"),
    "sequential": (LATENTS, "--data.codec.positions", "sequential"),
    "images": (LATENTS, "--model.sizes.variant.bidirectional", "images"),
    "prefix": (LATENTS, "--model.sizes.variant.bidirectional", "prefix", "--data.task.answers", "one"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ranks_without_an_image_train_the_bridge_of_the_others(tmp_path, image_tokenizer, kind):
    more = (*MORE, "--data.codec.vision", *KINDS[kind])
    (alone,) = trained(tmp_path / "one", image_tokenizer, *more, "--data.batch_size", "2", ranks=1)
    for strategy, options in STRATEGIES.items():
        some = (*more, "--data.batch_size", "1", *options)
        both = trained(tmp_path / strategy, image_tokenizer, *some, ranks=2)
        assert {True, False} == {
            one != other for one, other in zip(both[0]["seen"], both[1]["seen"], strict=True)
        }
        for ours, theirs in zip(both[0]["losses"], alone["losses"], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-3)
        for name, tensor in both[0]["state"].items():
            assert torch.equal(tensor, both[1]["state"][name]), name
            assert torch.allclose(tensor, alone["state"][name], atol=0.01), name
