"""Redraw a part of a picture: python sample/edit.py --image photo.png --mask hole.png --prompt "a star" """

from pathlib import Path

from unitok.terminal import Parser, command, how_to_run


def arguments() -> Parser:
    """The command line."""
    parser = Parser(
        prog="edit.py", description="Draw what a prompt says where a mask is white; the rest stays."
    )
    add = parser.add_argument
    add("--image", required=True, metavar="FILE", help="the picture")
    add("--mask", metavar="FILE", help="of the picture's size: white is drawn anew, black stays")
    add("--keep", type=float, metavar="SHARE", help="in place of a mask: share of the cells that stay, 0..1")
    add("--prompt", required=True, help="what the whole picture shows then")
    parser.add_model()
    add("--out", default="edited", metavar="DIR", help="folder of the pictures")
    add("--n", type=int, default=1, help="pictures")
    add("--best-of", type=int, default=1, help="draw so many for each, keep the likeliest with what stays")
    add("--seed", type=int, default=0, help="the same seed, picture and prompt give the same result")
    add("--guidance-scale", type=float, help="1 is none; the model's default if absent")
    add("--temperature", type=float, help="0 is greedy; the model's default if absent")
    return parser


@command("edit.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write the pictures."""
    options = arguments().parse_args(args)
    if (options.mask is None) == (options.keep is None):
        raise ValueError("give either --mask FILE or --keep SHARE")
    from unitok import UniTok
    from unitok.data.images import load_image
    from unitok.pictures import save_drawings

    picture = load_image(options.image)
    model = UniTok.from_pretrained(options.model, **how_to_run(options))
    settings = {"guidance_scale": options.guidance_scale, "temperature": options.temperature}
    shared = {"n": options.n, "best_of": options.best_of, "seed": options.seed, **settings}
    if options.mask is not None:
        images = model.inpaint(picture, load_image(options.mask), options.prompt, **shared)
    else:
        images = model.vary(picture, options.prompt, keep=options.keep, **shared)
    for path in save_drawings(images, [options.prompt], Path(options.out)):
        print(path)


if __name__ == "__main__":
    main()
