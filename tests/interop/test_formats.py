"""Checkpoints with taming's and LlamaGen's published names and shapes: every tensor is used."""

import pickle
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from train.convert import main
from unitok.interop.formats import FORMATS, read
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

K, DIM, Z, WIDTHS = 32, 4, 8, (32, 64, 64)


def conv(name: str, out: int, inputs: int, side: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inputs, side, side), f"{name}.bias": (out,)}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def residual(name: str, inputs: int, out: int) -> dict[str, tuple[int, ...]]:
    shapes = norm(f"{name}.norm1", inputs) | conv(f"{name}.conv1", out, inputs, 3)
    shapes |= norm(f"{name}.norm2", out) | conv(f"{name}.conv2", out, out, 3)
    return shapes | (conv(f"{name}.nin_shortcut", out, inputs, 1) if inputs != out else {})


def attention(name: str, width: int) -> dict[str, tuple[int, ...]]:
    shapes = norm(f"{name}.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= conv(f"{name}.{part}", width, width, 1)
    return shapes


def ends() -> dict[str, tuple[int, ...]]:
    """The part that both layouts share."""
    shapes = conv("encoder.conv_in", WIDTHS[0], 3, 3) | norm("encoder.norm_out", WIDTHS[-1])
    shapes |= conv("encoder.conv_out", Z, WIDTHS[-1], 3) | conv("decoder.conv_in", WIDTHS[-1], Z, 3)
    shapes |= norm("decoder.norm_out", WIDTHS[0]) | conv("decoder.conv_out", 3, WIDTHS[0], 3)
    shapes |= conv("quant_conv", DIM, Z, 1) | conv("post_quant_conv", Z, DIM, 1)
    return shapes | {"quantize.embedding.weight": (K, DIM)}


def taming() -> dict[str, tuple[int, ...]]:
    """Three levels of two blocks each, attention on the coarsest."""
    shapes, last = ends(), len(WIDTHS) - 1
    for part in ("encoder", "decoder"):
        shapes |= residual(f"{part}.mid.block_1", WIDTHS[-1], WIDTHS[-1])
        shapes |= attention(f"{part}.mid.attn_1", WIDTHS[-1])
        shapes |= residual(f"{part}.mid.block_2", WIDTHS[-1], WIDTHS[-1])
    for i, width in enumerate(WIDTHS):
        for j in range(2):
            shapes |= residual(
                f"encoder.down.{i}.block.{j}", WIDTHS[max(i - 1, 0)] if j == 0 else width, width
            )
        for j in range(3):
            shapes |= residual(
                f"decoder.up.{i}.block.{j}", WIDTHS[min(i + 1, last)] if j == 0 else width, width
            )
        if i < last:
            shapes |= conv(f"encoder.down.{i}.downsample.conv", width, width, 3)
        if i > 0:
            shapes |= conv(f"decoder.up.{i}.upsample.conv", width, width, 3)
    for j in range(2):
        shapes |= attention(f"encoder.down.{last}.attn.{j}", WIDTHS[-1])
    for j in range(3):
        shapes |= attention(f"decoder.up.{last}.attn.{j}", WIDTHS[-1])
    return shapes


def llamagen() -> dict[str, tuple[int, ...]]:
    """The same sizes with LlamaGen's names; its decoder numbers levels from the coarsest."""
    shapes, last = ends(), len(WIDTHS) - 1
    for part in ("encoder", "decoder"):
        shapes |= residual(f"{part}.mid.0", WIDTHS[-1], WIDTHS[-1]) | attention(f"{part}.mid.1", WIDTHS[-1])
        shapes |= residual(f"{part}.mid.2", WIDTHS[-1], WIDTHS[-1])
    for i, width in enumerate(WIDTHS):
        for j in range(2):
            shapes |= residual(
                f"encoder.conv_blocks.{i}.res.{j}", WIDTHS[max(i - 1, 0)] if j == 0 else width, width
            )
        if i < last:
            shapes |= conv(f"encoder.conv_blocks.{i}.downsample.conv", width, width, 3)
        up = last - i
        for j in range(3):
            shapes |= residual(
                f"decoder.conv_blocks.{up}.res.{j}", WIDTHS[min(i + 1, last)] if j == 0 else width, width
            )
        if i > 0:
            shapes |= conv(f"decoder.conv_blocks.{up}.upsample.conv", width, width, 3)
    for j in range(2):
        shapes |= attention(f"encoder.conv_blocks.{last}.attn.{j}", WIDTHS[-1])
    for j in range(3):
        shapes |= attention(f"decoder.conv_blocks.0.attn.{j}", WIDTHS[-1])
    return shapes


def random_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}


class ModelCheckpoint:
    """Stands in for the class that old Lightning checkpoints pickle as a key."""


def write_taming(path, tensors) -> None:
    ModelCheckpoint.__module__ = "pytorch_lightning.callbacks.model_checkpoint"
    extras = {"loss.discriminator.main.0.weight": torch.zeros(3), "loss.perceptual_loss.lin0": torch.zeros(2)}
    torch.save({"epoch": 3, "state_dict": tensors | extras}, path)


def write_llamagen(path, tensors) -> None:
    torch.save({"model": tensors | {"quantize.codebook_used": torch.zeros(65536)}, "steps": 1}, path)


LAYOUTS = {"taming": (taming, write_taming, "last.ckpt"), "llamagen": (llamagen, write_llamagen, "vq_ds4.pt")}


@pytest.fixture(params=LAYOUTS)
def written(request, tmp_path):
    """A checkpoint of a layout: its kind, path and tensors."""
    shapes, write, name = LAYOUTS[request.param]
    tensors = random_tensors(shapes())
    write(tmp_path / name, tensors)
    return request.param, tmp_path / name, tensors


def test_every_tensor_is_used(written):
    kind, path, tensors = written
    tokenizer = read(path, kind)
    assert tokenizer.cell == 4 and tokenizer.codebook_size == K and tokenizer.quantizer.dim == DIM
    ours = [tensor for name, tensor in tokenizer.state_dict().items() if not name.startswith("quantizer")]
    theirs = [tensor for name, tensor in tensors.items() if not name.startswith("quantize.")]
    assert len(ours) == len(theirs)
    sums = sorted(round(tensor.double().sum().item(), 5) for tensor in ours)
    assert sums == sorted(round(tensor.double().sum().item(), 5) for tensor in theirs)
    book = tensors["quantize.embedding.weight"]
    book = F.normalize(book, dim=1) if kind == "llamagen" else book
    torch.testing.assert_close(tokenizer.quantizer.codebook, book)


def test_both_layouts_give_the_same_model(tmp_path):
    """Equal weights at equal places: the decoders agree despite their numbering of levels."""
    tensors = random_tensors(taming())
    write_taming(tmp_path / "a.ckpt", tensors)
    write_llamagen(tmp_path / "b.pt", {_llamagen_name(name): tensor for name, tensor in tensors.items()})
    a, b = read(tmp_path / "a.ckpt", "taming"), read(tmp_path / "b.pt", "llamagen")
    latents = torch.randn(1, DIM, 3, 2)
    with torch.no_grad():
        assert torch.equal(a.render(latents), b.render(latents))
        assert torch.equal(a.latents(torch.ones(1, 3, 8, 12)), b.latents(torch.ones(1, 3, 8, 12)))


def _llamagen_name(name: str) -> str:
    last = len(WIDTHS) - 1
    name = name.replace("mid.block_1", "mid.0").replace("mid.attn_1", "mid.1").replace("mid.block_2", "mid.2")
    name = re.sub(r"encoder\.down\.(\d)", r"encoder.conv_blocks.\1", name)
    name = re.sub(r"decoder\.up\.(\d)", lambda m: f"decoder.conv_blocks.{last - int(m[1])}", name)
    return name.replace(".block.", ".res.")


def test_attention_and_downsampling_match_taming(tmp_path):
    """Compare the smallest parts with their formulas: an attention block and an asymmetric padding."""
    tensors = random_tensors(taming())
    write_taming(tmp_path / "a.ckpt", tensors)
    pyramid = read(tmp_path / "a.ckpt", "taming").encoder[0]
    x = torch.randn(2, WIDTHS[-1], 3, 2)
    block, name = pyramid.mid.attn_1, "encoder.mid.attn_1"
    y = F.group_norm(x, 32, tensors[f"{name}.norm.weight"], tensors[f"{name}.norm.bias"], 1e-6)
    q, k, v = (
        F.conv2d(y, tensors[f"{name}.{p}.weight"], tensors[f"{name}.{p}.bias"]).flatten(2) for p in "qkv"
    )
    seen = torch.einsum(
        "bqk,bck->bcq", (torch.einsum("bcq,bck->bqk", q, k) / WIDTHS[-1] ** 0.5).softmax(-1), v
    )
    out = F.conv2d(seen.view_as(x), tensors[f"{name}.proj_out.weight"], tensors[f"{name}.proj_out.bias"])
    torch.testing.assert_close(block(x), x + out, atol=1e-5, rtol=0)
    x = torch.randn(1, WIDTHS[0], 6, 6)
    padded = nn.ZeroPad2d((0, 1, 0, 1))(x)
    weight, bias = (tensors[f"encoder.down.0.downsample.conv.{part}"] for part in ("weight", "bias"))
    torch.testing.assert_close(pyramid.down[0].downsample(x), F.conv2d(padded, weight, bias, stride=2))


def test_a_missing_tensor_is_named(written):
    kind, path, tensors = written
    name = "decoder.conv_out.bias"
    LAYOUTS[kind][1](path, {n: t for n, t in tensors.items() if n != name})
    with pytest.raises(ValueError, match=r"decoder\.1\.conv_out\.bias must be \(3,\), got absent"):
        read(path, kind)


def test_a_wrong_shape_is_named_with_the_expected_one(written):
    kind, path, tensors = written
    LAYOUTS[kind][1](path, tensors | {"quant_conv.weight": torch.zeros(DIM, Z + 1, 1, 1)})
    with pytest.raises(ValueError, match=r"encoder\.1\.weight must be \(4, 8, 1, 1\), got \(4, 9, 1, 1\)"):
        read(path, kind)


def test_an_unexpected_tensor_is_named(written):
    kind, path, tensors = written
    LAYOUTS[kind][1](path, tensors | {"encoder.stray": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"encoder\.0\.stray must be absent, got \(2,\)"):
        read(path, kind)


def test_a_foreign_checkpoint_is_refused(tmp_path):
    torch.save({"state_dict": {"layer.weight": torch.zeros(2)}}, tmp_path / "x.ckpt")
    for kind in LAYOUTS:
        with pytest.raises(ValueError, match=r"x\.ckpt: no tensor encoder\.conv_in\.weight"):
            read(tmp_path / "x.ckpt", kind)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (open, ("pwned", "w"))


def test_no_code_of_a_checkpoint_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": random_tensors(taming()), "callbacks": Bomb()}, tmp_path / "x.ckpt")
    (tmp_path / "y.ckpt").write_bytes(pickle.dumps(Bomb()))
    for name in ("x.ckpt", "y.ckpt"):
        with pytest.raises(ValueError, match="cannot be read as plain tensors"):
            read(tmp_path / name, "taming")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", bytes(range(256)) * 9])
def test_a_corrupt_file_is_named(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pt: cannot be read"):
        read(tmp_path / "x.pt", "llamagen")


def test_the_command_writes_a_folder_that_loads(written, capsys, tmp_path):
    kind, path, _ = written
    main(["--format", kind, "--from", str(path), "--out", str(tmp_path / "out")])
    assert "32 codes of 4 channels, 4 pixels a side each" in capsys.readouterr().out
    assert ImageTokenizer.from_pretrained(tmp_path / "out").fingerprint() == read(path, kind).fingerprint()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_missing_path_is_reported_in_one_line(kind, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["--format", kind, "--from", str(tmp_path / "absent"), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and str(tmp_path / "absent") in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
