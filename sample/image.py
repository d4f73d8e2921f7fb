"""Draw pictures: python sample/image.py --model runs/demo/model --prompt "a small red circle" --out drawn"""

from pathlib import Path

from unitok.console import Parser, command, how_to_run


def arguments() -> Parser:
    """The command line."""
    parser = Parser(prog="image.py", description="Draw a prompt; writes PNG files and a contact sheet.")
    add = parser.add_argument
    add("--prompt", nargs="+", action="extend", required=True, help="what to draw; one or several")
    parser.add_model()
    add("--out", default="drawn", metavar="DIR", help="folder of the pictures")
    add("--n", type=int, default=1, help="pictures of each prompt")
    add("--seed", type=int, default=0, help="the same seed and prompt give the same picture")
    add("--guidance-scale", type=float, help="1 is none; the model's default if absent")
    add("--negative", help="what guidance leads away from")
    add("--temperature", type=float, help="0 is greedy; the model's default if absent")
    add("--top-k", type=int, help="draw among the k likeliest codes only")
    add("--top-p", type=float, help="draw among the codes of this share of the probability only")
    add("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels, where the model allows")
    add(
        "--best-of", type=int, default=1, help="draw so many for each picture, keep the best by log p(prompt)"
    )
    add("--init", metavar="FILE", help="a picture to begin with: what --mask leaves of it stays")
    add("--mask", metavar="FILE", help="of the picture's size: what is transparent or white is drawn anew")
    add("--speculate", type=int, default=0, help="codes guessed ahead; changes the speed, not the picture")
    add("--batch-size", type=int, default=32, help="pictures drawn at once")
    return parser


@command("image.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write the pictures."""
    options = arguments().parse_args(args)
    if (options.init is None) != (options.mask is None):
        raise ValueError("--init and --mask go together (sample/edit.py has --keep)")
    unfit = [name for name in ("size", "negative", "speculate") if options.init and getattr(options, name)]
    if unfit:
        raise ValueError(f"--{unfit[0]} does not go with --init")
    from unitok import UniTok
    from unitok.atomic_files import refuse_unwritable
    from unitok.contact_sheet import save_drawings
    from unitok.data.files.images import load_image, load_mask

    refuse_unwritable(options.out)  # before the work, not after it
    names = ("n", "seed", "best_of", "guidance_scale", "temperature", "top_k", "top_p", "batch_size")
    settings = {name: getattr(options, name) for name in names}
    model = UniTok.from_pretrained(options.model, **how_to_run(options))
    prompts = options.prompt
    if options.init:
        known, hole = load_image(options.init), load_mask(options.mask)
        images = model.inpaint([known] * len(prompts), [hole] * len(prompts), prompts, **settings)
    else:
        size = tuple(options.size) if options.size else None
        images = model.draw(
            prompts, **settings, size=size, negative=options.negative, speculate=options.speculate
        )
    for path in save_drawings(images, prompts, Path(options.out)):
        print(path)
    if options.best_of > 1:
        for i, image in enumerate(images):
            ((nats,),) = model.mutual_information([image], [prompts[i // options.n]])
            print(f"picture {i}: log p(prompt | picture) - log p(prompt) = {nats:.2f} nats")


if __name__ == "__main__":
    main()
