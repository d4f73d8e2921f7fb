"""A short training inside a benchmark: no validation, no export, no progress line."""

from unitok.cli.lightning_cli import RunFolder
from unitok.data.modules import DocumentData
from unitok.training.transformer import TransformerTraining


def short_run(module: TransformerTraining, data: DocumentData, folder: str, budget: dict) -> RunFolder:
    """Train a module for a budget, such as {"max_steps": 400}, in a folder; returns the trainer."""
    module.export = lambda folder: None
    trainer = RunFolder(
        default_root_dir=folder, max_epochs=-1, accelerator="cpu", precision="bf16-mixed",
        limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, **budget,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return trainer
