"""Convert another project's image tokenizer: unitok convert --format taming --from FILE --out DIR

Every config can use the folder (`data.codec.image_tokenizer`).
"""

from unitok.console import Parser, command
from unitok.interop.formats import FORMATS


def arguments() -> Parser:
    """Build the parser of the command line."""
    kinds = "; ".join(f"{name}: {text}" for name, text in FORMATS.items())
    parser = Parser(prog="unitok convert", description=f"Convert an image tokenizer to a folder. {kinds}.")
    parser.add_argument("--format", required=True, choices=FORMATS, help="format of PATH")
    parser.add_argument("--from", dest="path", required=True, metavar="PATH", help="file or folder to read")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write, created if missing")
    return parser


@command("unitok convert")
def main(args: list[str] | None = None) -> None:
    """Convert the tokenizer, write its folder and print its sizes."""
    options = arguments().parse_args(args)
    from unitok.interop.formats import read
    from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

    ImageTokenizer.refuse_foreign(options.out)
    tokenizer = read(options.path, options.format)
    tokenizer.save_pretrained(options.out)
    weights = sum(parameter.numel() for parameter in tokenizer.parameters())
    print(
        f"{options.out}: {tokenizer.codebook_size} codes of {tokenizer.quantizer.dim} channels, "
        f"{tokenizer.cell} pixels a side each, {weights / 1e6:.1f}M weights"
    )
