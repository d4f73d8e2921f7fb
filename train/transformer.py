"""Train a transformer: python train/transformer.py fit --config configs/transformer/easy_vqa.yaml"""


def main(args: list[str] | None = None):
    """Carry out a command line (that of the process by default)."""
    from unitok.data.modules import DocumentData
    from unitok.training.cli import run
    from unitok.training.transformer import TransformerTraining

    return run(TransformerTraining, DocumentData, args, program="train/transformer.py", export="model")


if __name__ == "__main__":
    main()
