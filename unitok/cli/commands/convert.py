"""Convert another project's image tokenizer or vision: unitok convert --format taming --from FILE --out DIR

Every config can use the folder: a tokenizer as `data.codec.image_tokenizer`, a vision as `data.codec.vision`.
"""

from unitok.console import Parser, command
from unitok.interop.formats import FORMATS, VISION_FORMATS


def arguments() -> Parser:
    """Build the parser of the command line."""
    tokenizers, visions = (
        "; ".join(f"{name}: {text}" for name, text in formats.items())
        for formats in (FORMATS, VISION_FORMATS)
    )
    parser = Parser(
        prog="unitok convert",
        description=f"Convert an image tokenizer to a folder ({tokenizers}), or what sees to a vision folder "
        f"({visions}).",
    )
    formats = [*FORMATS, *VISION_FORMATS]
    parser.add_argument("--format", required=True, choices=formats, help="format of PATH")
    parser.add_argument("--from", dest="path", required=True, metavar="PATH", help="file or folder to read")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write, created if missing")
    return parser


@command("unitok convert")
def main(args: list[str] | None = None) -> None:
    """Convert the file or folder, write the new folder and print what is in it."""
    options = arguments().parse_args(args)
    convert = convert_vision if options.format in VISION_FORMATS else convert_tokenizer
    print(f"{options.out}: {convert(options.path, options.format, options.out)}")


def convert_tokenizer(path: str, kind: str, out: str) -> str:
    """Convert an image tokenizer; returns its sizes."""
    from unitok.interop.formats import read
    from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

    ImageTokenizer.refuse_foreign(out)
    tokenizer = read(path, kind)
    tokenizer.save_pretrained(out)
    weights = sum(parameter.numel() for parameter in tokenizer.parameters())
    return (
        f"{tokenizer.codebook_size} codes of {tokenizer.quantizer.dim} channels, "
        f"{tokenizer.cell} pixels a side each, {weights / 1e6:.1f}M weights"
    )


def convert_vision(path: str, kind: str, out: str) -> str:
    """Convert an encoder and its bridge; returns their sizes."""
    from unitok.interop.formats import read_vision
    from unitok.modalities.vision_folder import VisionFolder

    VisionFolder.refuse_foreign(out)
    vision = read_vision(path, kind)
    vision.save_pretrained(out)
    encoder, bridge = vision.config.encoder, type(vision.config.bridge).__name__
    (rows, columns), (height, width) = encoder.patches(encoder.input_size(None)), encoder.input_size(None)
    made = len(vision.bridge["layers.out.weight"]) if vision.bridge else None
    return f"{rows} x {columns} vectors of {encoder.dim(None)} channels, of {height} x {width} pixels; " + (
        f"a {bridge} to vectors of {made}" if made else f"a new {bridge}"
    )
