"""The command line of training: Lightning's, with this project's defaults. Knows no model.

`fit --config FILE` trains into `trainer.default_root_dir`; `--ckpt_path last` goes on where that folder
stopped.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

from unitok.terminal import plain_errors
from unitok.training.callbacks import Export
from unitok.training.checkpoint import AtomicCheckpointIO, checkpoints


class RunFolder(Trainer):
    """A trainer that keeps everything of a run in `default_root_dir`: logs, checkpoints, config and
    exports."""

    def __init__(self, *, monitor: str = "val/loss", export: str = "model", **options):
        folder = Path(options.pop("default_root_dir", None) or "runs/unnamed")
        folder.mkdir(parents=True, exist_ok=True)
        callbacks = [
            *(options.pop("callbacks", None) or []),
            *checkpoints(folder, monitor=monitor),
            Export(export),
        ]
        if options.get("enable_progress_bar", True) is not False:
            callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
        options["logger"] = TensorBoardLogger(folder, name="", version="logs", default_hp_metric=False)
        plugins = [*(options.pop("plugins", None) or []), AtomicCheckpointIO()]
        super().__init__(default_root_dir=folder, callbacks=callbacks, plugins=plugins, **options)


class UniTokCLI(LightningCLI):
    """Adds `--threads`."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 takes all cores")

    def _parse_ckpt_path(self) -> None:
        """A checkpoint gives weights and counters; the settings are those of the config and the flags."""

    def before_fit(self) -> None:
        config = self.config[self.subcommand]
        last = Path(self.trainer.default_root_dir) / "last.ckpt"
        if config.ckpt_path == "last" and not last.is_file():
            raise ValueError(f"{last} is not there to go on from; without --ckpt_path last a new run begins")
        if config.threads:
            torch.set_num_threads(config.threads)


def run(
    model: type[LightningModule],
    data: type[LightningDataModule],
    args: ArgsType = None,
    *,
    program: str,
    export: str,
) -> UniTokCLI:
    """Parse a command line and carry it out; user errors become one line and exit code 2."""
    _quiet()
    with plain_errors(program), _as_value_error(MisconfigurationException):
        return UniTokCLI(
            model,
            data,
            args=args,
            trainer_class=RunFolder,
            trainer_defaults={
                "export": export,
                "use_distributed_sampler": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "log_every_n_steps": 20,
            },
            save_config_callback=SaveConfigCallback,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            parser_kwargs={"prog": program, "exit_on_error": False},
        )


@contextmanager
def _as_value_error(kind: type[Exception]) -> Iterator[None]:
    """What the trainer calls a wrong configuration is a wrong value here."""
    try:
        yield
    except kind as error:
        raise ValueError(str(error)) from error


def _quiet() -> None:
    """Silence what a user cannot act on: the trainer's banners, and advice that is wrong for small CPU
    runs."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    for text in (
        ".*LightningCLI's args parameter.*",
        ".*does not have many workers.*",
        ".*Checkpoint directory.*",
        ".*Mismatch dtype between input and weight.*",
        ".*LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", text)
    torch.set_float32_matmul_precision("high")
