"""Export a model to transformers and vLLM, or of a run to a model: unitok export runs/mine/model exported

A model for transformers must be trained with `data.codec.positions: sequential`.
"""

from pathlib import Path

from unitok.console import Parser, command


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok export",
        description="Export a model as a transformers folder (Qwen3ForCausalLM, or as its block is), its "
        "text tokenizer and a LogitsProcessor that keeps documents well-formed. Of a run's folder, or of a "
        "checkpoint in it, make a model (or an image tokenizer) of this package.",
    )
    parser.add_argument("model", metavar="MODEL", help="model folder, a run's folder, or a .ckpt file in one")
    parser.add_argument("out", metavar="OUT", help="folder to write, which must be empty or absent")
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last", help="of a run's folder")
    parser.add_import()
    return parser


@command("unitok export")
def main(args: list[str] | None = None) -> None:
    """Export the model."""
    options = arguments().parse_args(args)
    from unitok.cli.export_run import export_run, is_run
    from unitok.interop.transformers_export import export, refuse_full

    refuse_full(options.out)
    path = Path(options.model)
    if is_run(path):
        file = export_run(path, Path(options.out), checkpoint=options.checkpoint)
        print(f"{options.out}: the weights of {file}")
        return
    from unitok.api.unitok import UniTok

    model = UniTok.from_pretrained(options.model, device="cpu", dtype="float32")
    export(model, options.out)
    kind = "CausalLM" if model.codec.vision is None else "ImageTextToText"
    print(f"{options.out}: load it with AutoModelFor{kind} and the LogitsProcessor in grammar_processor.py")
