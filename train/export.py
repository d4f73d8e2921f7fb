"""Write a model as a folder that transformers and vLLM open: python train/export.py runs/mine/model exported

The model must have been trained with `data.positions: sequential`.
"""

from unitok.console import Parser, command


def arguments() -> Parser:
    """The command line."""
    parser = Parser(
        prog="train/export.py",
        description="Write a Qwen3ForCausalLM folder (LlamaForCausalLM without QK-norm) with the text "
        "tokenizer and a LogitsProcessor that keeps documents well-formed.",
    )
    parser.add_argument("model", metavar="MODEL", help="model folder")
    parser.add_argument("out", metavar="OUT", help="folder to write, which must be empty or absent")
    return parser


@command("train/export.py")
def main(args: list[str] | None = None) -> None:
    """Read the command line, write the folder."""
    options = arguments().parse_args(args)
    from unitok.api.unitok import UniTok
    from unitok.interop.transformers_export import export, refuse_full

    refuse_full(options.out)
    export(UniTok.from_pretrained(options.model, device="cpu", dtype="float32"), options.out)
    print(f"{options.out}: for AutoModelForCausalLM; grammar_processor.py in it keeps documents well-formed")


if __name__ == "__main__":
    main()
