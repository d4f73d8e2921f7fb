"""Encode and decode at 256 x 256 pixels with the weights of a Janus VQ, against transformers' own as loaded.

The peer runs in fp32, as `from_pretrained` gives it. Random weights of the published sizes.

python benchmarks/tokenizer.py [--json FILE]
"""

import copy
import tempfile

import torch
from compare import Row, alternate, command_line, finish
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEConfig

from unitok.interop.formats import read

BARS = {"decode": 4.3, "encode, same codes": 1.1, "encode, precision bf16": 4.0}


def measure(*, pictures: int, rounds: int, channels: int) -> list[Row]:
    """Ratios of times, and the share of codes that differ."""
    torch.manual_seed(0)
    peer = JanusVQVAE(JanusVQVAEConfig(base_channels=channels, num_patches=16)).eval()
    images = torch.rand(pictures, 3, 256, 256) * 2 - 1
    with torch.inference_mode():
        latents = peer.quant_conv(peer.encoder(images)).permute(0, 2, 3, 1).flatten(0, 2)
        spread = latents[torch.randint(len(latents), (len(peer.quantize.embedding.weight),))]
        peer.quantize.embedding.weight.data.copy_(spread + 0.05 * torch.randn_like(spread) * latents.std())
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        ours = read(folder, "janus")
    fast = ours.with_dtype(torch.bfloat16)
    with torch.inference_mode():
        codes = peer.encode(images).image_tokens.view(pictures, 16, 16)
        flat = codes.flatten(1)
        sides = {
            "decode": (lambda: fast.decode(codes), lambda: peer.decode(flat)),
            "encode, same codes": (lambda: ours.encode(images), lambda: peer.encode(images)),
            "encode, precision bf16": (lambda: fast.encode(images), lambda: peer.encode(images)),
        }
        remarks = {
            "decode": _error(fast.decode(codes), peer.decode(flat)),
            "encode, same codes": _changed(ours.encode(images).codes, codes),
            "encode, precision bf16": _changed(fast.encode(images).codes, codes),
        }
        rows = [
            _row(name, pictures, alternate(*runs, rounds=rounds), remarks[name])
            for name, runs in sides.items()
        ]
    return [*rows, convolutions()]


def convolutions() -> Row:
    """What bf16 can bring on this machine: the rates of one convolution as ours and as the peer's run it."""
    images = torch.randn(1, 128, 256, 256)
    layer = torch.nn.Conv2d(128, 128, 3, padding=1)
    low = copy.deepcopy(layer).bfloat16().to(memory_format=torch.channels_last)
    lowered = images.bfloat16().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = alternate(lambda: low(lowered), lambda: layer(images), rounds=9)
    operations = 2 * 9 * 128 * 128 * 256 * 256
    return Row("a convolution, bf16 channels_last", operations / seconds.ours / 1e9, "GFLOP/s",
               seconds.theirs / seconds.ours, None, True,
               f"fp32 {operations / seconds.theirs / 1e9:.0f} GFLOP/s; bf16 can bring no more")  # fmt: skip


def _row(name: str, pictures: int, seconds, remark: str) -> Row:
    ratio = seconds.theirs / seconds.ours
    speed = f"peer {pictures / seconds.theirs:.2f} images/s; {remark}"
    return Row(name, pictures / seconds.ours, "images/s", ratio, BARS[name], ratio >= BARS[name], speed)


def _changed(codes: torch.Tensor, theirs: torch.Tensor) -> str:
    return f"{float((codes != theirs).float().mean()):.2%} of the codes differ"


def _error(pixels: torch.Tensor, theirs: torch.Tensor) -> str:
    return f"pixels differ by {float((pixels - theirs.clamp(-1, 1)).abs().mean()):.4f} on average"


def main() -> None:
    parser = command_line(__doc__, rounds=3, threads=1)
    parser.add_argument("--pictures", type=int, default=2, help="a batch (default 2)")
    parser.add_argument(
        "--channels", type=int, default=128, help="of the finest level; Janus has 128 (default)"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    finish(measure(pictures=options.pictures, rounds=options.rounds, channels=options.channels), options.json)


if __name__ == "__main__":
    main()
