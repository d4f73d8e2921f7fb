"""Edit an image: unitok edit --image photo.png --mask hole.png --prompt "a star" """

from pathlib import Path

from unitok.console import Parser, command, run_options, warn


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok edit",
        description="Redraw an image from a prompt where a mask is transparent or white, and keep the rest "
        "and the size; or edit it by an instruction, if the model was trained for that.",
    )
    add = parser.add_argument
    add("--image", required=True, metavar="FILE", help="image to edit")
    add("--instruction", metavar="TEXT", help="instruction, such as 'remove the red circle'")
    add("--mask", metavar="FILE",
        help="mask of the image's size; transparent (or white) pixels are redrawn")  # fmt: skip
    add("--keep", type=float, metavar="SHARE", help="instead of a mask: share of cells to keep, 0..1")
    add("--prompt", help="with --mask or --keep: description of the whole result")
    parser.add_model()
    add("--out", default="edited", metavar="DIR", help="output folder")
    add("--n", type=int, default=1, help="number of results")
    add("--best-of", type=int, metavar="N",
        help="samples per result, the likeliest is kept (default: 4 with --mask, 1 with --keep)")  # fmt: skip
    add("--seed", type=int, default=0, help="the same seed, image and prompt give the same result")
    add("--guidance-scale", type=float, help="classifier-free guidance, 1 is none (default: the model's)")
    add("--image-guidance-scale", type=float,
        help="weight of the image against the instruction (default: the model's)")  # fmt: skip
    add("--temperature", type=float, help="0 is greedy (default: the model's)")
    return parser


@command("unitok edit")
def main(args: list[str] | None = None) -> None:
    """Write the edited images."""
    options = arguments().parse_args(args)
    ways = ("instruction", "mask", "keep")
    if sum(getattr(options, way) is not None for way in ways) != 1:
        raise ValueError("give exactly one of --instruction TEXT, --mask FILE and --keep SHARE")
    if (options.instruction is None) == (options.prompt is None):
        raise ValueError("--prompt must be given with --mask and --keep, and absent with --instruction")
    if options.instruction is not None and options.best_of not in (None, 1):
        raise ValueError("--best-of needs --mask or --keep, got --instruction")
    from unitok import UniTok
    from unitok.api.contact_sheet import save_images
    from unitok.api.editing import INPAINT_BEST_OF
    from unitok.atomic_files import refuse_unwritable
    from unitok.data.files.images import load_image, load_mask

    refuse_unwritable(options.out)  # fail before the work, not after it
    image = load_image(options.image)
    model = UniTok.from_pretrained(options.model, **run_options(options))
    warn(model.unlearned(*(("drawings", "fills") if options.instruction is None else ("edits",))))
    names = ("n", "seed", "guidance_scale", "image_guidance_scale", "temperature")
    settings = {name: getattr(options, name) for name in names}
    if options.instruction is not None:
        images = model.edit(image, options.instruction, **settings)
    elif options.mask is not None:
        mask = load_mask(options.mask)
        best_of = INPAINT_BEST_OF if options.best_of is None else options.best_of
        images = model.inpaint(image, mask, options.prompt, best_of=best_of, full_size=True, **settings)
    else:
        settings |= {"keep": options.keep, "best_of": 1 if options.best_of is None else options.best_of}
        images = model.vary(image, options.prompt, **settings)
    for path in save_images(images, [options.prompt or options.instruction], Path(options.out)):
        print(path)
