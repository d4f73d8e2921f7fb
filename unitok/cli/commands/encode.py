"""Encode a data set once: unitok encode --source PATH --image-tokenizer DIR --out runs/codes/train

Training then reads the codes (`data.train: runs/codes/train`) instead of the images. To check the content of
a data set and count its corrupt samples: unitok encode check PATH
"""

from argparse import Namespace
from pathlib import Path

from unitok.cli.yaml_defaults import parse_with_config
from unitok.console import Parser, Setting, command, plain_errors


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok encode",
        description="Encode a data set into a folder of shards. An interrupted run resumes where it stopped.",
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help="YAML with these options, - written as _; flags override it")
    add(
        "--source",
        "--data.path",
        metavar="SOURCE",
        help="shapes, a file or folder of any format in docs/your-data.md, or a class path",
    )
    add("--split", default="train", help="train, val, test, or all of a data set")
    add("--format", "--data.format", metavar="NAME", help="format of the data set; if absent it is detected")
    add("--set", dest="settings", action=Setting, metavar="NAME=VALUE",
        help="argument of the source, such as canvas=48; may be repeated")  # fmt: skip
    add("--image-tokenizer", metavar="DIR", help="folder of a trained image tokenizer")
    add("--text-tokenizer", metavar="FILE", help="a tokenizer.json; if absent one is trained on the texts")
    add("--text-size", type=int, default=1024, help="max vocabulary of a text tokenizer trained here")
    add("--image-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"),
        help="resize all images to this many cells; if absent each keeps its size")  # fmt: skip
    add("--locations", nargs="+", default=(), metavar="NAME",
        help="box, point or both, if the documents hold them")  # fmt: skip
    add("--modalities", nargs="+", default=(), metavar="CLASS",
        help="class paths of other modalities that the documents hold")  # fmt: skip
    add("--image-cells", type=int, metavar="CELLS",
        help="resize each image to at most this many cells, with the nearest aspect ratio")  # fmt: skip
    add("--chat", action=Setting, metavar="NAME=VALUE",
        help="setting of the chat template, such as user_mark=user:; may be repeated")  # fmt: skip
    add("--out", metavar="DIR", help="folder of the codes, made if missing")
    add("--batch-size", type=int, default=64, help="documents encoded at once")
    add("--shard-size", type=int, default=16_384, help="documents per shard")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    add("--threads", type=int, default=0, help="CPU threads; 0 uses all cores")
    add("--most-faults", type=float, default=0.1, metavar="SHARE",
        help="share of corrupt samples, after the first 1,000, that stops the run")  # fmt: skip
    add("--quiet", dest="progress", action="store_false", help="show no progress bar")
    _add_check(parser)
    return parser


def _add_check(parser: Parser) -> None:
    check = parser.add_subparsers(dest="command", metavar="[check PATH]", title="only read").add_parser(
        "check", help="read a data set once and report its content and its corrupt samples"
    )
    add = check.add_argument
    add("path", metavar="PATH", help="a file or folder of any format in docs/your-data.md")
    add("--split", dest="part", default="all", help="train, val, test, or all")
    add("--format", dest="kind", metavar="NAME", help="format of the data set; if absent it is detected")
    add("--set", dest="reading", action=Setting, metavar="NAME=VALUE", help="argument of its reader")
    add("--out", dest="report", default="runs/check", help="folder of data_report.json and pictures.png")
    add("--pictures", type=int, default=64, help="most images on the contact sheet")
    add("--workers", type=int, default=0, help="processes that read; 0 reads in this one")
    add("--minutes", type=float, default=20.0, help="of the training that is proposed (unitok train)")


@command("unitok encode")
def main(args: list[str] | None = None) -> None:
    """Parses the command line and writes the codes."""
    checked = arguments().parse_args(args)
    if checked.command == "check":
        with plain_errors("unitok check"):
            _check(checked)
        return
    options = parse_with_config(arguments(), args, required=("source", "image_tokenizer", "out"))
    del options.command
    from unitok.training.encode import encode

    encode(**vars(options))


def _check(options: Namespace) -> None:
    """Prints what is in a set, and what `unitok train` would do with it."""
    from unitok.training.encode import check

    check(options.path, split=options.part, format=options.kind, settings=options.reading,
          out=options.report, pictures=options.pictures, workers=options.workers)  # fmt: skip
    _propose(options.path, minutes=options.minutes)


def _propose(path: str, *, minutes: float) -> None:
    """Prints what `unitok train` would do with a set."""
    from unitok.cli.own_data import OwnData

    try:
        own = OwnData(path, Path(), minutes)
        own.propose(own.look())
    except (ValueError, OSError) as error:
        print(f"unitok train: {error}")
    else:
        print(f"unitok train {path} --minutes {minutes:g}  trains this")
