"""Caption images, or ask questions about them: unitok caption --model runs/demo/model photo.png"""

from unitok.console import Parser, as_json, command, printable, run_options, warn


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok caption", description="Print a caption of each image, or an answer about it."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files (PNG, JPEG, WebP, …)")
    parser.add_model()
    parser.add_argument("--question", metavar="TEXT", help="question to answer, instead of a caption")
    parser.add_argument("--choices", nargs="+", default=[], metavar="TEXT", help="answers to choose from")
    parser.add_argument("--json", action="store_true", help="print a JSON list of {image, caption or answer}")
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        help="most tokens of a caption or answer (default: the model's)",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="images per batch")
    return parser


@command("unitok caption")
def main(args: list[str] | None = None) -> None:
    """Print a caption or an answer for each image."""
    options = arguments().parse_args(args)
    if options.choices and options.question is None:
        raise ValueError("--choices needs a --question")
    from unitok.data.files.images import load_image

    images = [load_image(path) for path in options.images]  # fails before torch is loaded
    from unitok import UniTok

    model = UniTok.from_pretrained(options.model, **run_options(options))
    warn(model.unlearned("captions" if options.question is None else "questions"))
    settings = {"max_new_tokens": options.max_new_tokens, "batch_size": options.batch_size}
    if options.question is None:
        kind, texts = "caption", model.caption(images, **settings)
    else:
        kind, texts = "answer", model.answer(images, options.question, choices=options.choices, **settings)
    pairs = list(zip(options.images, texts, strict=True))
    if options.json:
        print(as_json([{"image": path, kind: text} for path, text in pairs]))
    elif len(pairs) == 1:
        print(printable(texts[0]))
    else:
        print("\n".join(printable(f"{path}: {text}") for path, text in pairs))
