"""Tiny random VQ models of transformers, read by us, give the same codes and the same pixels."""

import pytest
import torch

from tests.exactness import assert_same_codes
from unitok.interop.formats import read

transformers = pytest.importorskip("transformers")


def images(count: int = 64, side: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, side, side) * 2 - 1


def randomised(model):
    """Randomise weights and statistics with trivial initial values."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and name.endswith(("norm1.weight", "norm2.weight", "running_var")):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and ("bias" in name or "running_mean" in name):
                tensor.normal_(std=0.2)
    return model.eval()


@pytest.fixture
def janus():
    from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEConfig

    torch.manual_seed(0)
    config = JanusVQVAEConfig(
        embed_dim=4, num_embeddings=64, latent_channels=6, base_channels=32, channel_multiplier=[1, 2, 1],
        num_res_blocks=1, num_patches=4,
    )  # fmt: skip
    return randomised(JanusVQVAE(config))


@pytest.fixture
def emu3():
    from transformers import Emu3VQVAE, Emu3VQVAEConfig

    torch.manual_seed(0)
    config = Emu3VQVAEConfig(
        codebook_size=64, embed_dim=4, latent_channels=4, base_channels=32, channel_multiplier=[1, 2],
        num_res_blocks=2, attn_resolutions=[1], hidden_size=64, num_attention_heads=2,
    )  # fmt: skip
    return randomised(Emu3VQVAE(config))


@pytest.fixture
def chameleon():
    from transformers import ChameleonVQVAE, ChameleonVQVAEConfig

    torch.manual_seed(0)
    config = ChameleonVQVAEConfig(
        embed_dim=4, num_embeddings=64, latent_channels=6, base_channels=32, channel_multiplier=[1, 2, 2],
        num_res_blocks=2, resolution=16, attn_resolutions=[8],
    )  # fmt: skip
    return randomised(ChameleonVQVAE(config))


def spread(model, latents: torch.Tensor) -> None:
    """Spread the codebook over the latents, so that many codes are used."""
    rows = latents.transpose(0, 1).flatten(1).mT
    chosen = rows[torch.randperm(len(rows))[: len(model.quantize.embedding.weight)]]
    model.quantize.embedding.weight.data.copy_(chosen + 0.01 * torch.randn_like(chosen))


@torch.no_grad()
def test_janus(janus, tmp_path):
    pixels = images()
    spread(janus, janus.quant_conv(janus.encoder(pixels)))
    janus.save_pretrained(tmp_path)
    ours = read(tmp_path, "janus")
    theirs = janus.encode(pixels).image_tokens.view(len(pixels), 4, 4)
    assert_same_codes(ours, pixels, theirs)
    assert len(theirs.unique()) > 32
    torch.testing.assert_close(
        ours.render(ours.quantizer.lookup(theirs)), janus.decode(theirs.flatten(1)), atol=1e-4, rtol=0
    )


@torch.no_grad()
def test_emu3(emu3, tmp_path):
    pixels = images()
    clip = emu3.encoder(pixels[:, None].repeat(1, 4, 1, 1, 1)).permute(0, 2, 1, 3, 4)
    spread(emu3, emu3.quant_conv(clip)[:, :, 0])
    emu3.save_pretrained(tmp_path)
    ours = read(tmp_path, "emu3")
    theirs = torch.stack(emu3.encode(pixels, image_sizes=torch.tensor([[16, 16]] * 64)).image_tokens)
    assert_same_codes(ours, pixels, theirs)
    assert len(theirs.unique()) > 32
    torch.testing.assert_close(
        ours.render(ours.quantizer.lookup(theirs)), emu3.decode(theirs), atol=1e-4, rtol=0
    )


@torch.no_grad()
def test_chameleon_encodes_and_has_no_decoder(chameleon, tmp_path):
    pixels = images()
    spread(chameleon, chameleon.quant_conv(chameleon.encoder(pixels)))
    chameleon.save_pretrained(tmp_path)
    ours = read(tmp_path, "chameleon")
    theirs = chameleon.encode(pixels).image_tokens.view(len(pixels), 4, 4)
    assert_same_codes(ours, pixels, theirs)
    assert len(theirs.unique()) > 32
    with pytest.raises(ValueError, match="has no decoder"):
        ours.decode(theirs)


def test_a_vq_model_is_found_inside_a_whole_model(janus, tmp_path):
    from safetensors.torch import save_file

    tensors = {f"model.vqmodel.{name}": tensor for name, tensor in janus.state_dict().items()}
    save_file(
        tensors | {"model.language_model.embed.weight": torch.zeros(4, 4)}, tmp_path / "model.safetensors"
    )
    (tmp_path / "config.json").write_text("{}")
    inside = read(tmp_path, "janus")
    janus.save_pretrained(tmp_path / "alone")
    assert inside.fingerprint() == read(tmp_path / "alone", "janus").fingerprint()


@pytest.mark.parametrize("kind", ["janus", "emu3", "chameleon"])
def test_a_converted_tokenizer_survives_saving(kind, request, tmp_path):
    from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

    request.getfixturevalue(kind).save_pretrained(tmp_path / "theirs")
    ours = read(tmp_path / "theirs", kind)
    ours.save_pretrained(tmp_path / "ours")
    again = ImageTokenizer.from_pretrained(tmp_path / "ours")
    assert again.fingerprint() == ours.fingerprint()
    pixels = images(2)
    assert torch.equal(again.encode(pixels).codes, ours.encode(pixels).codes)
