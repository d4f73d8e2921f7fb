"""Train an image tokenizer: python train/tokenizer.py fit --config configs/tokenizer/easy_vqa.yaml"""


def main(args: list[str] | None = None):
    """Carry out a command line (that of the process by default)."""
    from unitok.data.modules import ImageData
    from unitok.training.cli import run
    from unitok.training.tokenizer import TokenizerTraining

    return run(TokenizerTraining, ImageData, args, program="train/tokenizer.py", export="image_tokenizer")


if __name__ == "__main__":
    main()
