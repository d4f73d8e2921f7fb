"""Change a picture: python sample/edit.py --image photo.png --mask hole.png --prompt "a star" """

from pathlib import Path

from unitok.console import Parser, command, how_to_run


def arguments() -> Parser:
    """The command line."""
    parser = Parser(
        prog="edit.py",
        description="Draw what a prompt says where a mask is transparent or white, while the rest stays; or "
        "change a picture by an instruction, where the model has learned that.",
    )
    add = parser.add_argument
    add("--image", required=True, metavar="FILE", help="the picture")
    add("--instruction", metavar="TEXT", help="what to change, such as 'remove the red circle'")
    add("--mask", metavar="FILE",
        help="of the picture's size: transparent (or white) is what is drawn anew")  # fmt: skip
    add("--keep", type=float, metavar="SHARE", help="in place of a mask: share of the cells that stay, 0..1")
    add("--prompt", help="with a mask or a share: what the whole picture shows then")
    parser.add_model()
    add("--out", default="edited", metavar="DIR", help="folder of the pictures")
    add("--n", type=int, default=1, help="pictures")
    add("--best-of", type=int, default=1, metavar="N",
        help="with a mask or a share: of N drawings keep what fits the rest and the prompt best")  # fmt: skip
    add("--seed", type=int, default=0, help="the same seed, picture and prompt give the same result")
    add("--guidance-scale", type=float, help="1 is none; the model's default if absent")
    add("--image-guidance-scale", type=float,
        help="how far the picture counts against the instruction; the model's default if absent")  # fmt: skip
    add("--temperature", type=float, help="0 is greedy; the model's default if absent")
    return parser


@command("edit.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write the pictures."""
    options = arguments().parse_args(args)
    ways = ("instruction", "mask", "keep")
    if sum(getattr(options, way) is not None for way in ways) != 1:
        raise ValueError("give one of --instruction TEXT, --mask FILE and --keep SHARE")
    if (options.instruction is None) == (options.prompt is None):
        raise ValueError("--mask and --keep need a --prompt, --instruction has none")
    if options.instruction is not None and options.best_of != 1:
        raise ValueError("--best-of goes with --mask and --keep, not with --instruction")
    from unitok import UniTok
    from unitok.atomic_files import refuse_unwritable
    from unitok.contact_sheet import save_drawings
    from unitok.data.files.images import load_image, load_mask

    refuse_unwritable(options.out)  # before the work, not after it
    picture = load_image(options.image)
    model = UniTok.from_pretrained(options.model, **how_to_run(options))
    names = ("n", "seed", "guidance_scale", "image_guidance_scale", "temperature")
    settings = {name: getattr(options, name) for name in names}
    if options.instruction is not None:
        images = model.edit(picture, options.instruction, **settings)
    elif options.mask is not None:
        mask = load_mask(options.mask)
        images = model.inpaint(picture, mask, options.prompt, best_of=options.best_of, **settings)
    else:
        kept = {"keep": options.keep, "best_of": options.best_of}
        images = model.vary(picture, options.prompt, **kept, **settings)
    for path in save_drawings(images, [options.prompt or options.instruction], Path(options.out)):
        print(path)


if __name__ == "__main__":
    main()
