"""Train an image tokenizer: unitok train-tokenizer fit --config configs/tokenizer/easy_vqa.yaml"""

from unitok.cli.short_help import print_short_help, requests_short_help

PROGRAM = "unitok train-tokenizer"
SETTINGS = {
    "--data.path DIR": "folder of WebDataset shards: KEY.png or .jpg, KEY.txt",
    "--data.size [H, W]": "pixels of an image",
    "--data.batch_size N": "images per step",
    "--model.architecture NAME": "Patch, VQGAN, ViT or Emu3: pixels to latents and back",
    "--model.quantizer NAME": "the codebook: EMACodebook, FSQLevels, LFQSigns, …",
    "--model.optimizer.lr X": "peak learning rate of AdamW; muon_lr: of Muon",
    "--model.loss.foreground_weight X": "loss weight of pixels that differ from the even background",
}


def main(args: list[str] | None = None):
    """Run a command line (by default the process's)."""
    if requests_short_help(args):
        purpose = "Train an image tokenizer: pixels to codes and back."
        example = f"{PROGRAM} fit --config configs/tokenizer/easy_vqa.yaml --data.path DATA"
        return print_short_help(PROGRAM, purpose, SETTINGS, example=example)
    from unitok.cli.lightning_cli import run
    from unitok.data.image_data import ImageData
    from unitok.training.tokenizer import TokenizerTraining

    return run(TokenizerTraining, ImageData, args, program=PROGRAM, export="image_tokenizer")
