"""Features of codes are computed once per run, and again for other codes."""

import pytest
import torch
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.modalities import image
from unitok.training.weights.init_embeddings import init_from_features


@pytest.fixture
def counted(monkeypatch):
    """A tiny model, and the number of codes of each call of its decoder."""
    model = tiny_model()
    modality, calls = model.codec.modalities["image"], []
    decode = modality.tokenizer.decode
    monkeypatch.setattr(modality.tokenizer, "decode", lambda codes: calls.append(len(codes)) or decode(codes))
    return model, calls


def test_features_are_kept_beside_the_run_and_made_again_for_other_codes(counted, tmp_path):
    model, calls = counted
    kept = tmp_path / "code_features.safetensors"
    rows = []
    for _ in range(2):
        torch.manual_seed(1)
        torch.nn.init.zeros_(model.model.embedding.weight)
        init_from_features(model.model, model.codec, scale=0.3, cache=kept)
        rows.append(model.model.embedding.weight.clone())
    assert len(calls) == 1 and torch.equal(*rows) and kept.is_file()
    kept.write_bytes(b"damaged")
    init_from_features(model.model, model.codec, scale=0.3, cache=kept)
    with torch.no_grad():
        next(model.codec.modalities["image"].tokenizer.decoder.parameters()).add_(1.0)
    init_from_features(model.model, model.codec, scale=0.3, cache=kept)
    assert len(calls) == 3
    init_from_features(model.model, model.codec, scale=0.0)
    assert len(calls) == 3


def test_features_are_made_where_none_can_be_kept(counted, tmp_path):
    model, calls = counted
    (tmp_path / "file").write_text("")
    init_from_features(model.model, model.codec, scale=0.3, cache=tmp_path / "file/features")
    assert len(calls) == 1


@pytest.mark.parametrize("at_once", [1, 3, 10**9])
def test_images_and_codes_are_taken_a_bounded_number_at_once(counted, monkeypatch, at_once):
    model, calls = counted
    modality = model.codec.modalities["image"]
    side = modality.shape[0] * modality.tokenizer.cell
    shown = [Image.new("RGB", (side, side), (40 * i, 255 - 40 * i, 7 * i)) for i in range(5)]
    codes = modality.encode_many(shown)
    drawn, features = modality.decode_many(*zip(*codes, strict=True)), modality.features()
    calls.clear()
    monkeypatch.setattr(image, "MAX_PIXELS", at_once * side * side)
    again = modality.encode_many(shown)
    assert [c.tolist() for c, _ in again] == [c.tolist() for c, _ in codes]
    for one, other in zip(modality.decode_many(*zip(*again, strict=True)), drawn, strict=True):
        assert one.tobytes() == other.tobytes()
    assert max(calls) <= at_once and sum(calls) == 5
    assert torch.allclose(modality.features(), features, atol=1e-5)
