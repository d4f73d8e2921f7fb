"""Angles of three axes are those of Qwen3-VL, whose sections leave some frequencies to time."""

import pytest
import torch

from tests.tiny_language_models import SIZES, sizes_of_ours, spread, text_config
from unitok.models.rotary import axis_of_frequency, rotary_angles


@pytest.mark.parametrize("sections", [(24, 20, 20), (4, 2, 2), (2, 3, 3)])
def test_cosines_and_sines_are_qwen3_vls(sections):
    modeling = pytest.importorskip("transformers.models.qwen3_vl.modeling_qwen3_vl")
    config = text_config("qwen3_vl_text")
    config.head_dim = 2 * sum(sections)
    config.rope_parameters = dict(config.rope_parameters, mrope_section=list(sections))
    positions = torch.randint(90, (2, 11, 3))
    theirs = modeling.Qwen3VLTextRotaryEmbedding(config)(torch.zeros(1), positions.permute(2, 0, 1))
    ours = rotary_angles(positions, head_width=config.head_dim, base=500.0, sections=sections)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other[..., : sum(sections)], rtol=0, atol=1e-5)


@torch.no_grad()
def test_hidden_states_in_three_axes_are_qwen3_vls():
    modeling = pytest.importorskip("transformers.models.qwen3_vl.modeling_qwen3_vl")
    from unitok.interop.language.weights import from_transformers
    from unitok.models.transformer import Transformer, TransformerConfig

    theirs = spread(modeling.Qwen3VLTextModel(text_config("qwen3_vl_text")))
    sizes = sizes_of_ours("qwen3_vl_text")
    ours = Transformer(TransformerConfig(sizes, SIZES["vocab_size"]))
    named = {f"model.{name}": weight for name, weight in theirs.state_dict().items()}
    ours.load_state_dict(from_transformers(named, sizes))
    ids, positions = torch.randint(SIZES["vocab_size"], (2, 13)), torch.randint(40, (2, 13, 3))
    expected = theirs(input_ids=ids, position_ids=positions.permute(2, 0, 1), use_cache=False)
    assert (ours(ids, positions) - expected.last_hidden_state).abs().max() <= 1e-4


def test_only_the_last_turns_differ_from_equal_shares():
    equal, shared = axis_of_frequency(64), axis_of_frequency(64, (24, 20, 20))
    assert (equal != shared).nonzero().flatten().tolist() == [61, 62]
    assert [int((shared == axis).sum()) for axis in range(3)] == [24, 20, 20]
