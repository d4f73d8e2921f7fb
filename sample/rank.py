"""Which text fits which picture: python sample/rank.py a.png b.png --text "a red circle" --text "a star" """

from unitok.console import Parser, as_json, command, how_to_run, printable


def arguments() -> Parser:
    """The command line."""
    parser = Parser(
        prog="rank.py", description="Print log p(text | picture) of each pair, the best of each row first."
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="picture files (PNG, JPEG, WebP, …)")
    add("--text", action="append", required=True, help="what may fit; may be given several times")
    add(
        "--by",
        choices=("picture", "text"),
        default="picture",
        help="rank the texts of each picture, or turned",
    )
    add("--score", choices=("mutual", "plain"), default="plain", help="mutual: less log p(text)")
    parser.add_model()
    add("--json", action="store_true", help="print a JSON list of {image, text, score}, the highest first")
    add("--batch-size", type=int, default=32, help="pairs judged at once")
    return parser


@command("rank.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, print the table."""
    options = arguments().parse_args(args)
    from unitok.data.files.images import load_image

    images = [load_image(path) for path in options.images]  # a bad one is told before torch is loaded
    from unitok import UniTok
    from unitok.api.ranking import affinities

    model = UniTok.from_pretrained(options.model, **how_to_run(options))
    cells = affinities(model, images, options.text, batch_size=options.batch_size)
    place = ("plain", "mutual").index(options.score)
    found = [
        {"image": image, "text": text, "score": cell[place]}
        for image, row in zip(options.images, cells, strict=True)
        for text, cell in zip(options.text, row, strict=True)
    ]
    found.sort(key=lambda pair: -pair["score"])
    if options.json:
        print(as_json(found))
        return
    heads, other = (options.images, "text") if options.by == "picture" else (options.text, "image")
    mine = "image" if options.by == "picture" else "text"
    for head in dict.fromkeys(heads):
        print(printable(head))
        for pair in found:
            if pair[mine] == head:
                print(printable(f"  {pair['score']:9.2f}  {pair[other]}"))


if __name__ == "__main__":
    main()
