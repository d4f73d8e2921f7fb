"""Encoding and decoding at 256 x 256 pixels with the weights of a Janus VQ, against transformers' own model.

The peer runs in fp32, the default of `from_pretrained`. Weights are random, of the published sizes.

python benchmarks/tokenizer.py [--json FILE]
"""

import copy
import tempfile

import torch
from compare import Row, alternate, command_line, finish
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEConfig

from unitok.interop.formats import read

BARS = {"decode": 4.3, "encode, same codes": 1.1, "encode, precision bf16": 4.0}


def measure(*, batch_size: int, rounds: int, channels: int) -> list[Row]:
    """Ratios of times, and the share of codes that differ."""
    torch.manual_seed(0)
    peer = JanusVQVAE(JanusVQVAEConfig(base_channels=channels, num_patches=16)).eval()
    images = torch.rand(batch_size, 3, 256, 256) * 2 - 1
    with torch.inference_mode():
        latents = peer.quant_conv(peer.encoder(images)).permute(0, 2, 3, 1).flatten(0, 2)
        centres = latents[torch.randint(len(latents), (len(peer.quantize.embedding.weight),))]
        peer.quantize.embedding.weight.data.copy_(centres + 0.05 * torch.randn_like(centres) * latents.std())
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        ours = read(folder, "janus")
    fast = ours.with_dtype(torch.bfloat16)
    with torch.inference_mode():
        codes = peer.encode(images).image_tokens.view(batch_size, 16, 16)
        flat = codes.flatten(1)
        sides = {
            "decode": (lambda: fast.decode(codes), lambda: peer.decode(flat)),
            "encode, same codes": (lambda: ours.encode(images), lambda: peer.encode(images)),
            "encode, precision bf16": (lambda: fast.encode(images), lambda: peer.encode(images)),
        }
        remarks = {
            "decode": _pixel_error(fast.decode(codes), peer.decode(flat)),
            "encode, same codes": _code_error(ours.encode(images).codes, codes),
            "encode, precision bf16": _code_error(fast.encode(images).codes, codes),
        }
        rows = [
            _row(name, batch_size, alternate(*runs, rounds=rounds), remarks[name])
            for name, runs in sides.items()
        ]
    return [*rows, convolutions()]


def convolutions() -> Row:
    """The possible gain of bf16 on this machine: the speed of one convolution as ours and the peer run it."""
    images = torch.randn(1, 128, 256, 256)
    layer = torch.nn.Conv2d(128, 128, 3, padding=1)
    bf16_layer = copy.deepcopy(layer).bfloat16().to(memory_format=torch.channels_last)
    bf16_images = images.bfloat16().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = alternate(lambda: bf16_layer(bf16_images), lambda: layer(images), rounds=9)
    operations = 2 * 9 * 128 * 128 * 256 * 256
    return Row("a convolution, bf16 channels_last", operations / seconds.ours / 1e9, "GFLOP/s",
               seconds.theirs / seconds.ours, None, True,
               f"fp32 {operations / seconds.theirs / 1e9:.0f} GFLOP/s; the limit of bf16")  # fmt: skip


def _row(name: str, batch_size: int, seconds, remark: str) -> Row:
    ratio = seconds.theirs / seconds.ours
    remark = f"peer {batch_size / seconds.theirs:.2f} images/s; {remark}"
    return Row(name, batch_size / seconds.ours, "images/s", ratio, BARS[name], ratio >= BARS[name], remark)


def _code_error(codes: torch.Tensor, theirs: torch.Tensor) -> str:
    return f"{float((codes != theirs).float().mean()):.2%} of the codes differ"


def _pixel_error(pixels: torch.Tensor, theirs: torch.Tensor) -> str:
    return f"pixels differ by {float((pixels - theirs.clamp(-1, 1)).abs().mean()):.4f} on average"


def main() -> None:
    parser = command_line(__doc__, rounds=3, threads=1)
    parser.add_argument("--pictures", type=int, default=2, help="images per batch (default 2)")
    parser.add_argument(
        "--channels", type=int, default=128, help="of the finest level; Janus has 128 (default)"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = {"batch_size": options.pictures, "channels": options.channels}
    finish(measure(**sizes, rounds=options.rounds), options.json)


if __name__ == "__main__":
    main()
