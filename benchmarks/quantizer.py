"""The quantisation step: nearest codes of 65,536 vectors, against vector-quantize-pytorch.

python benchmarks/quantizer.py [--json FILE]
"""

import torch
from compare import Row, alternate, command_line, finish, peak_memory
from vector_quantize_pytorch import VectorQuantize

from unitok.models.image_tokenizer.quantizer import MAX_SCORES, nearest

VECTORS, CODES = 65_536, 8192
BARS = {8: 8.0, 256: 4.0}
MEMORY_BAR = 32.0  # MB


def measure(dim: int, *, rounds: int) -> list[Row]:
    """Ratio of times, share of different codes, and working memory, for codes of `dim` channels."""
    torch.manual_seed(0)
    vectors, codebook = torch.randn(VECTORS, dim), torch.randn(CODES, dim)
    library = VectorQuantize(dim=dim, codebook_size=CODES).eval()
    library._codebook.embed.data.copy_(codebook[None])
    with torch.inference_mode():
        memory = peak_memory(lambda: nearest(vectors, codebook))  # before the peer allocates gigabytes
        ours, theirs = nearest(vectors, codebook), library(vectors[None])[1][0]
        differ = ours != theirs
        exact = torch.cdist(vectors[differ].double(), codebook.double())
        near, far = (exact.gather(1, codes[differ, None])[:, 0].square() for codes in (ours, theirs))
        ties = bool(((near - far).abs() <= 1e-5 * torch.maximum(near, far)).all())
        seconds = alternate(lambda: nearest(vectors, codebook), lambda: library(vectors[None]), rounds=rounds)
        theirs_memory = peak_memory(lambda: library(vectors[None]))
    speedup = seconds.theirs / seconds.ours
    share = float(differ.float().mean())
    flops = 2 * VECTORS * CODES * dim
    return [
        Row(f"quantise d={dim}", seconds.ours * 1e3, "ms", speedup, BARS[dim], speedup >= BARS[dim],
            f"peer {seconds.theirs * 1e3:.0f} ms, {flops / seconds.ours / 1e9:.0f} GFLOP/s"),
        Row(f"quantise d={dim}: other codes", share * 100, "%", None, 0.01, ties and share <= 1e-4,
            "all of them ties" if ties else "not all of them ties"),
        Row(f"quantise d={dim}: working memory", memory, "MB", theirs_memory / max(memory, 1e-9), MEMORY_BAR,
            memory <= MEMORY_BAR, f"peer {theirs_memory:.0f} MB, {MAX_SCORES // CODES} rows at once"),
    ]  # fmt: skip


def main() -> None:
    parser = command_line(__doc__, rounds=5, threads=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    finish([row for dim in BARS for row in measure(dim, rounds=options.rounds)], options.json)


if __name__ == "__main__":
    main()
