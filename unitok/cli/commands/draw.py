"""Draw images from prompts: unitok draw --model runs/demo/model --prompt "a red circle" """

from pathlib import Path

from unitok.console import Parser, command, run_options, warn


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(prog="unitok draw", description="Draw images; write PNG files and a contact sheet.")
    add = parser.add_argument
    add("--prompt", nargs="+", action="extend", required=True, help="one prompt or several")
    parser.add_model()
    add("--out", default="drawn", metavar="DIR", help="output folder")
    add("--n", type=int, default=1, help="images per prompt")
    add("--seed", type=int, default=0, help="the same seed and prompt give the same image")
    add("--guidance-scale", type=float, help="classifier-free guidance, 1 is none (default: the model's)")
    add("--negative", help="negative prompt")
    add("--temperature", type=float, help="0 is greedy (default: the model's)")
    add("--top-k", type=int, help="sample from the K most likely codes only")
    add("--top-p", type=float, help="sample from the most likely codes that make up this probability")
    add("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels, for models of several sizes")
    add("--best-of", type=int, default=1, help="samples per image, reranked by log p(prompt | image)")
    add("--init", metavar="FILE", help="image to inpaint, with --mask")
    add("--mask", metavar="FILE", help="mask of the image's size; transparent (or white) pixels are redrawn")
    add("--speculate", type=int, default=0, help="codes guessed ahead; changes the speed, not the images")
    add("--batch-size", type=int, default=32, help="images per batch")
    return parser


@command("unitok draw")
def main(args: list[str] | None = None) -> None:
    """Write the images."""
    options = arguments().parse_args(args)
    if (options.init is None) != (options.mask is None):
        raise ValueError("--init and --mask must be given together (see unitok edit for --keep)")
    excluded = [name for name in ("size", "negative", "speculate") if options.init and getattr(options, name)]
    if excluded:
        raise ValueError(f"--{excluded[0]} must be absent with --init")
    from unitok import UniTok
    from unitok.api.contact_sheet import save_images
    from unitok.atomic_files import refuse_unwritable
    from unitok.data.files.images import load_image, load_mask

    refuse_unwritable(options.out)  # fail before the work, not after it
    names = ("n", "seed", "best_of", "guidance_scale", "temperature", "top_k", "top_p", "batch_size")
    settings = {name: getattr(options, name) for name in names}
    model = UniTok.from_pretrained(options.model, **run_options(options))
    warn(model.unlearned("drawings", *(("fills",) if options.init else ())))
    prompts = options.prompt
    if options.init:
        image, mask = load_image(options.init), load_mask(options.mask)
        images = model.inpaint([image] * len(prompts), [mask] * len(prompts), prompts, **settings)
    else:
        size = tuple(options.size) if options.size else None
        images = model.draw(
            prompts, **settings, size=size, negative=options.negative, speculate=options.speculate
        )
    for path in save_images(images, prompts, Path(options.out)):
        print(path)
    if options.best_of > 1:
        for i, image in enumerate(images):
            ((nats,),) = model.mutual_information([image], [prompts[i // options.n]])
            print(f"image {i}: log p(prompt | image) - log p(prompt) = {nats:.2f} nats")
