"""Rank texts for images, or images for texts: unitok rank a.png b.png --text "a red circle" """

from unitok.console import Parser, as_json, command, printable, run_options, warn


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(prog="unitok rank", description="Print log p(text | image) of each pair, the best first.")
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="image files (PNG, JPEG, WebP, …)")
    add("--text", action="append", required=True, help="text to rank; repeatable")
    add(
        "--by",
        choices=("picture", "text"),
        default="picture",
        help="rank the texts of each image, or the images of each text",
    )
    add("--score", choices=("mutual", "plain"), default="plain", help="mutual subtracts log p(text)")
    parser.add_model()
    add(
        "--json",
        action="store_true",
        help="print a JSON list of {image, text, score}, the highest score first",
    )
    add("--batch-size", type=int, default=32, help="pairs per batch")
    return parser


@command("unitok rank")
def main(args: list[str] | None = None) -> None:
    """Print the ranking."""
    options = arguments().parse_args(args)
    from unitok.data.files.images import load_image

    images = [load_image(path) for path in options.images]  # fails before torch is loaded
    from unitok import UniTok
    from unitok.api.ranking import affinities

    model = UniTok.from_pretrained(options.model, **run_options(options))
    warn(model.unlearned("captions"))
    scores = affinities(model, images, options.text, batch_size=options.batch_size)
    column = ("plain", "mutual").index(options.score)
    pairs = [
        {"image": image, "text": text, "score": affinity[column]}
        for image, row in zip(options.images, scores, strict=True)
        for text, affinity in zip(options.text, row, strict=True)
    ]
    pairs.sort(key=lambda pair: -pair["score"])
    if options.json:
        print(as_json(pairs))
        return
    queries, kind, other = (
        (options.images, "image", "text") if options.by == "picture" else (options.text, "text", "image")
    )
    for query in dict.fromkeys(queries):
        print(printable(query))
        for pair in pairs:
            if pair[kind] == query:
                print(printable(f"  {pair['score']:9.2f}  {pair[other]}"))
