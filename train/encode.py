"""Encode a data set once: python train/encode.py --source DIR --image-tokenizer DIR --out runs/codes/train

Training then reads the codes (`data.train: runs/codes/train`) instead of the pictures.
"""

from unitok.terminal import Parser, Setting, command
from unitok.training.config import parse_with_config


def arguments() -> Parser:
    """The command line."""
    parser = Parser(
        prog="train/encode.py",
        description="Write a data set's codes into a folder of shards. A stopped run goes on where it was.",
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help="YAML with these options, - written as _; flags override it")
    add(
        "--source",
        "--data.path",
        metavar="SOURCE",
        help="shapes, a folder of WebDataset shards, or a class path",
    )
    add(
        "--split",
        default="train",
        help="of shapes: train, val, test; of a folder: its SPLIT-*.tar",
    )
    add("--set", dest="settings", action=Setting, metavar="NAME=VALUE",
        help="argument of the source, such as canvas=48; may be repeated")  # fmt: skip
    add("--image-tokenizer", metavar="DIR", help="folder of a trained image tokenizer")
    add("--text-tokenizer", metavar="FILE", help="a tokenizer.json; if absent one is trained on the texts")
    add("--text-size", type=int, default=1024, help="most codes of one trained here")
    add("--image-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"),
        help="cells that pictures are brought to; if absent each keeps its size")  # fmt: skip
    add("--locations", nargs="+", default=(), metavar="NAME",
        help="box, point or both, where the documents hold such")  # fmt: skip
    add("--out", metavar="DIR", help="folder of the codes, made if missing")
    add("--batch-size", type=int, default=64, help="documents encoded at once")
    add("--shard-size", type=int, default=16_384, help="documents a file")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    add("--threads", type=int, default=0, help="CPU threads; 0 takes all cores")
    add("--quiet", dest="progress", action="store_false", help="show no bar")
    return parser


@command("train/encode.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write the codes."""
    options = parse_with_config(arguments(), args, required=("source", "image_tokenizer", "out"))
    from unitok.training.encode import encode

    encode(**vars(options))


if __name__ == "__main__":
    main()
