"""Export a model to transformers and vLLM: unitok export runs/mine/model exported

The model must be trained with `data.codec.positions: sequential`.
"""

from unitok.console import Parser, command


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok export",
        description="Export a model as a Qwen3ForCausalLM folder (LlamaForCausalLM without QK-norm), its "
        "text tokenizer and a LogitsProcessor that keeps documents well-formed.",
    )
    parser.add_argument("model", metavar="MODEL", help="model folder")
    parser.add_argument("out", metavar="OUT", help="folder to write, which must be empty or absent")
    parser.add_import()
    return parser


@command("unitok export")
def main(args: list[str] | None = None) -> None:
    """Export the model."""
    options = arguments().parse_args(args)
    from unitok.api.unitok import UniTok
    from unitok.interop.transformers_export import export, refuse_full

    refuse_full(options.out)
    export(UniTok.from_pretrained(options.model, device="cpu", dtype="float32"), options.out)
    print(f"{options.out}: load it with AutoModelForCausalLM and the LogitsProcessor in grammar_processor.py")
