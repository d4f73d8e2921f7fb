"""Draw pictures: python sample/image.py --model runs/demo/model --prompt "a small red circle" --out drawn"""

import argparse
from pathlib import Path

from unitok.terminal import Parser, command


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(prog="image.py", description="Draw a prompt; writes PNG files and a contact sheet.")
    parser.add_argument(
        "--prompt", action="append", required=True, help="what to draw; may be given several times"
    )
    parser.add_argument("--model", default="runs/demo/model", metavar="DIR", help="model folder")
    parser.add_argument("--out", default="drawn", metavar="DIR", help="folder of the pictures")
    parser.add_argument("--n", type=int, default=1, help="pictures of each prompt")
    parser.add_argument("--seed", type=int, default=0, help="the same seed and prompt give the same picture")
    parser.add_argument("--guidance-scale", type=float, help="1 is none; the model's default if absent")
    parser.add_argument("--negative", help="what guidance leads away from")
    parser.add_argument("--temperature", type=float, help="0 is greedy; the model's default if absent")
    parser.add_argument("--top-k", type=int, help="draw among the k likeliest codes only")
    parser.add_argument(
        "--top-p", type=float, help="draw among the codes of this share of the probability only"
    )
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels, where the model allows"
    )
    parser.add_argument(
        "--best-of", type=int, default=1, help="draw so many for each picture, keep the best by log p(prompt)"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="pictures drawn at once")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")
    return parser


@command("image.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write the pictures."""
    options = arguments().parse_args(args)
    from unitok import UniTok
    from unitok.pictures import save_drawings

    model = UniTok.from_pretrained(options.model, device=options.device, dtype=options.dtype)
    images = model.draw(
        options.prompt,
        n=options.n,
        seed=options.seed,
        guidance_scale=options.guidance_scale,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        size=tuple(options.size) if options.size else None,
        best_of=options.best_of,
        negative=options.negative,
        batch_size=options.batch_size,
    )
    for path in save_drawings(images, options.prompt, Path(options.out)):
        print(path)


if __name__ == "__main__":
    main()
