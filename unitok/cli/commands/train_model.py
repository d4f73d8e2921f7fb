"""Train a transformer: unitok train-model fit --config configs/transformer/easy_vqa.yaml"""

from unitok.cli.short_help import print_short_help, requests_short_help

PROGRAM = "unitok train-model"
SETTINGS = {
    "--data.path DIR": "folder of WebDataset shards: KEY.png or .jpg, KEY.txt",
    "--data.train CODES": "instead of data.path: a folder of unitok encode, or a source",
    "--data.codec.image_tokenizer DIR": "a trained image tokenizer",
    "--data.codec.text_tokenizer FILE": "a tokenizer.json; if absent one is trained on the texts",
    "--data.row_length N": "ids per row of a batch",
    "--data.batch_size N": "documents per step",
    "--model.sizes.width N": "of the transformer; also layers, heads, kv_heads, head_width, hidden",
    "--model.optimizer.lr X": "peak learning rate of AdamW; muon_lr: of Muon",
    "--model.start.init_from DIR": "start from a model folder, or a language model's of transformers",
    "--model.start.freeze_steps N": "steps in which only the rows of new ids are trained",
    "--model.compute.compile BOOL": "torch.compile",
}


def main(args: list[str] | None = None):
    """Run a command line (by default the process's)."""
    if requests_short_help(args):
        purpose = "Train a transformer on codes of text and images."
        example = f"{PROGRAM} fit --config configs/transformer/easy_vqa.yaml --data.path DATA"
        return print_short_help(PROGRAM, purpose, SETTINGS, example=example)
    from unitok.cli.lightning_cli import run
    from unitok.data.document_data import DocumentData
    from unitok.training.transformer import TransformerTraining
    from unitok.training.weights.init_from import fill_from_origin

    return run(
        TransformerTraining, DocumentData, args, program=PROGRAM, export="model", fill=fill_from_origin
    )
