"""The image tokenizer: shapes, folders, codes that depend on their own cell alone, and what it refuses."""

import json
import re
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from unitok.models.image_tokenizer import folder
from unitok.models.image_tokenizer.folder import PARTS
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.kinds import kinds

PATCH = Patch(factor=4, channels=12, encoder_depth=1, decoder_depth=1)
LEVELS = {"kind": "FSQLevels", "levels": [5, 5]}
TINY = ImageTokenizerConfig(PATCH, EMACodebook(16, 6))


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape) * 2 - 1


@pytest.fixture
def tokenizer() -> ImageTokenizer:
    tokenizer = ImageTokenizer(TINY).train()
    tokenizer.encode(images(4, 3, 16, 16))  # the k-means start
    return tokenizer.eval()


@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 20), (24, 12)])
def test_any_multiple_of_the_factor_goes_there_and_back(tokenizer, height, width):
    out = tokenizer.encode(images(2, 3, height, width))
    assert out.codes.shape == (2, height // 4, width // 4) and out.codes.dtype == torch.long
    assert out.latents.shape == (2, 6, height // 4, width // 4)
    again = tokenizer.decode(out.codes)
    assert again.shape == (2, 3, height, width) and again.abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(10, 8), (8, 2), (1, 1)])
def test_sizes_that_the_factor_does_not_divide_are_refused_with_the_numbers(tokenizer, height, width):
    with pytest.raises(ValueError, match=f"multiples of 4, got {height}×{width} pixels"):
        tokenizer.encode(images(1, 3, height, width))


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 8, 8)])
def test_what_is_no_batch_of_images_is_refused(tokenizer, shape):
    with pytest.raises(ValueError, match=re.escape(f"[batch, 3, height, width], got {shape}")):
        tokenizer._check_images(images(*shape))


def test_decoding_refuses_codes_outside_the_codebook(tokenizer):
    with pytest.raises(ValueError, match=r"codes must be in 0\.\.15"):
        tokenizer.decode(torch.full((1, 2, 2), 16))


def test_a_field_that_was_added_leaves_folders_and_fingerprints_from_before_as_they_were():
    before = {"kind", "factor", "channels", "encoder_depth", "encoder_context", "decoder_depth"}
    assert TINY.to_json()["architecture"].keys() == before
    assert ImageTokenizerConfig.from_json(TINY.to_json()) == TINY


def test_a_head_of_its_own_leads_to_the_pixels_and_is_kept(tmp_path):
    config = replace(TINY, architecture=replace(PATCH, head_channels=20))
    tokenizer = ImageTokenizer(config).eval()
    assert [tuple(layer.weight.shape[:2]) for layer in tokenizer.decoder[-4:-1:2]] == [(20, 12), (48, 20)]
    tokenizer.save_pretrained(tmp_path)
    again = ImageTokenizer.from_pretrained(tmp_path)
    assert again.config == config and again.fingerprint() == tokenizer.fingerprint()


@pytest.mark.parametrize("wrong", [-1, True])
def test_a_head_of_no_width_is_refused(wrong):
    with pytest.raises(ValueError, match="head_channels must be an integer"):
        replace(PATCH, head_channels=wrong)


@pytest.mark.parametrize("context", [False, True])
def test_without_context_a_code_depends_on_its_own_cell_alone(context):
    tokenizer = ImageTokenizer(replace(TINY, architecture=replace(PATCH, encoder_context=context))).eval()
    image = images(1, 3, 24, 24)
    changed = image.clone()
    changed[..., 8:12, 8:12] = images(3, 4, 4)
    differ = (tokenizer.latents(image) != tokenizer.latents(changed)).any(dim=1)[0]
    assert differ[2, 2]
    assert differ.sum() > 1 if context else differ.sum() == 1


def test_encoding_is_the_same_under_autocast_and_in_any_batch(tokenizer):
    inputs = images(8, 3, 32, 32)
    codes = tokenizer.encode(inputs).codes
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tokenizer.encode(inputs).codes, codes)
    assert torch.equal(torch.cat([tokenizer.encode(p[None]).codes for p in inputs]), codes)


def test_every_weight_gets_a_gradient():
    tokenizer = ImageTokenizer(TINY).train()
    inputs = images(4, 3, 16, 16)
    out = tokenizer.encode(inputs)
    ((tokenizer.render(out.latents) - inputs).square().mean() + out.loss).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tokenizer.parameters())


# ---- folders


def test_a_folder_gives_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "new" / "folder")
    again = ImageTokenizer.from_pretrained(tmp_path / "new" / "folder")
    inputs = images(2, 3, 16, 16)
    codes = tokenizer.encode(inputs).codes
    assert again.config == TINY and not again.training
    assert torch.equal(again.encode(inputs).codes, codes)
    assert torch.equal(again.decode(codes), tokenizer.decode(codes))
    assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_the_fingerprint_changes_with_weights_and_configuration(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = ImageTokenizer.from_pretrained(tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    again.quantizer.codebook[0, 0] += 1
    assert again.fingerprint() != tokenizer.fingerprint()
    values = json.loads((tmp_path / "config.json").read_text())
    values["quantizer"]["beta"] = 0.5
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert ImageTokenizer.from_pretrained(tmp_path).fingerprint() != tokenizer.fingerprint()


def _without(name):
    return lambda folder: (folder / name).unlink()


def _config(part, **changes):
    def change(folder):
        values = json.loads((folder / "config.json").read_text())
        values[part] = values.get(part, {}) | changes
        (folder / "config.json").write_text(json.dumps(values))

    return change


def _tensors(change):
    def rewrite(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return rewrite


BROKEN = {
    "no config": (_without("config.json"), FileNotFoundError, "config.json not found"),
    "no weights": (_without("model.safetensors"), FileNotFoundError, "model.safetensors not found"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), ValueError, "not readable as JSON"),
    "config of another model": (
        _config("model", width=3),
        ValueError,
        "['architecture', 'model', 'quantizer']",
    ),
    "a field too many": (_config("quantizer", colour=3), ValueError, "missing or unknown ['colour']"),
    "a kind that is none": (_config("architecture", kind="os.system"), ValueError, "got os.system"),
    "a kind in the wrong place": (
        lambda f: (f / "config.json").write_text(
            json.dumps(dict.fromkeys(("architecture", "quantizer"), LEVELS))
        ),
        ValueError,
        "a kind of Architecture, got FSQLevels",
    ),
    "other sizes": (
        _config("architecture", channels=16),
        ValueError,
        "decoder.0.bias must be (16,), got (12,)",
    ),
    "wrong sizes": (_config("architecture", factor=0), ValueError, "factor=0"),
    "tensor missing": (
        _tensors(lambda t: t.pop("encoder.1.bias")),
        ValueError,
        "encoder.1.bias must be (12,), got absent",
    ),
    "tensor too many": (
        _tensors(lambda t: t.update(stray=torch.zeros(2))),
        ValueError,
        "stray must be absent, got (2,)",
    ),
    "damaged weights": (
        lambda f: (f / "model.safetensors").write_bytes(b"x" * 50),
        ValueError,
        "model.safetensors: corrupt",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_is_named_with_what_is_wrong(tokenizer, tmp_path, case):
    break_it, kind, message = BROKEN[case]
    tokenizer.save_pretrained(tmp_path)
    break_it(tmp_path)
    with pytest.raises(kind, match=re.escape(message)) as caught:
        ImageTokenizer.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_every_kind_that_can_be_trained_can_be_opened():
    """By importing the folder's module alone."""
    for path in Path(folder.__file__).parent.glob("*.py"):
        import_module(f"unitok.models.image_tokenizer.{path.stem}")  # so that all kinds are known
    imported = {
        getattr(value, "__module__", value.__name__)
        for value in vars(folder).values()
        if isinstance(value, type | ModuleType)
    }
    ours = {kind.__module__ for kind in kinds(*PARTS).values() if kind.__module__.startswith("unitok.")}
    assert ours <= imported


def test_two_kinds_of_one_name_are_not_confused():
    twin = dataclass(frozen=True)(type("EMACodebook", (EMACodebook,), {"__module__": "elsewhere"}))
    with pytest.raises(ValueError, match=r"elsewhere.EMACodebook must not share its name with unitok"):
        replace(TINY, quantizer=twin(16, 6)).to_json()


def test_a_failed_save_leaves_the_old_folder_whole(tokenizer, tmp_path, monkeypatch):
    tokenizer.save_pretrained(tmp_path)
    before = tokenizer.fingerprint()
    tokenizer.quantizer.codebook[0, 0] += 1

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        tokenizer.save_pretrained(tmp_path)
    assert ImageTokenizer.from_pretrained(tmp_path).fingerprint() == before
    assert len(list(tmp_path.iterdir())) == 2
