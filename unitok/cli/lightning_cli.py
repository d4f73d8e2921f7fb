"""The command line of both trainings: Lightning's, with this project's defaults. Knows no model.

`fit --config FILE` trains into `trainer.default_root_dir`; `--ckpt_path last` goes on where that folder
stopped, `--ckpt_path auto` does so if there is anything to go on from.
"""

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

from unitok.atomic_files import alone_in
from unitok.cli.data_overrides import configs, flagged, replaced
from unitok.cli.unknown_settings import in_plain_words
from unitok.cli.yaml_defaults import read_config
from unitok.console import plain_errors
from unitok.device import lacks_bfloat16
from unitok.renamed import refuse_renamed
from unitok.training.run.callbacks import Export, RandomByBatch, TellIfComplete
from unitok.training.run.checkpoint import BEST, LAST, PREVIOUS, AtomicCheckpointIO, checkpoints, readable
from unitok.training.run.interruption import Interrupted, SaveWhenInterrupted
from unitok.training.run.whole_steps import inside_step


class RunFolder(Trainer):
    """A trainer that keeps all of a run in `default_root_dir`: logs, checkpoints, config and exports.

    A `val_check_interval` in batches counts through all epochs, unless `check_val_every_n_epoch` is given.
    A run in bfloat16 is one in float32 on a CPU that has no instructions for it.
    """

    def __init__(self, *, monitor: str = "val/loss", export: str = "model", **options):
        folder = Path(options.pop("default_root_dir", None) or "runs/unnamed")
        folder.mkdir(parents=True, exist_ok=True)
        callbacks = [
            *(options.pop("callbacks", None) or []),
            *checkpoints(folder, monitor=monitor),
            Export(export),
            TellIfComplete(),
            RandomByBatch(),
            SaveWhenInterrupted(folder),
        ]
        if options.get("enable_progress_bar", True) is not False:
            callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
        if options.get("check_val_every_n_epoch") is None:
            share = isinstance(options.get("val_check_interval"), float | None)
            options["check_val_every_n_epoch"] = 1 if share else None
        asked = options.get("precision")
        _check_precision(str(asked), options.get("accelerator", "auto"))
        options["precision"] = _fast_precision(asked, options.get("accelerator", "auto"))
        options["logger"] = TensorBoardLogger(folder, name="", version="logs", default_hp_metric=False)
        plugins = [*(options.pop("plugins", None) or []), AtomicCheckpointIO()]
        super().__init__(default_root_dir=folder, callbacks=callbacks, plugins=plugins, **options)
        if getattr(self.strategy, "_save_distributed_checkpoint", False):
            raise ValueError(
                "a checkpoint is one file: give trainer.strategy save_distributed_checkpoint=false"
            )
        if options["precision"] != asked:
            self.print(f"precision: {asked}: this CPU has no instructions for bfloat16, "
                       f"training goes on in {options['precision']}")  # fmt: skip

    @property
    def should_stop(self) -> bool:
        """A run ends between two steps, never inside one of several batches."""
        return self._stops and not inside_step(self)

    @should_stop.setter
    def should_stop(self, stops: bool) -> None:
        self._stops = stops

    def _run(self, model: LightningModule, ckpt_path: Any = None, weights_only: bool | None = None) -> Any:
        """Every strategy reads checkpoints, some by themselves: what they are given is whole and one file."""
        self.goes_on = ckpt_path is not None
        return super()._run(model, ckpt_path and readable(ckpt_path), weights_only=True)


def _check_precision(precision: str, accelerator: Any) -> None:
    """Raises ValueError where weights would be of a kind in which nothing can be trained."""
    if precision in ("64", "64-true"):
        raise ValueError(f"trainer.precision is {precision}, expected 32-true or bf16-mixed")
    if precision in ("16", "16-mixed") and not _on_cpu(accelerator):  # clipping would see scaled gradients
        raise ValueError(f"trainer.precision is {precision}: on a GPU give bf16-mixed or 32-true")
    if precision in ("16-true", "bf16-true") and _on_cpu(accelerator):
        raise ValueError(f"trainer.precision is {precision}: on a CPU give 32-true or bf16-mixed")


def _on_cpu(accelerator: Any) -> bool:
    return accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())


def _fast_precision(precision: Any, accelerator: Any) -> Any:
    """What was asked for, or float32 in place of bfloat16 where that is slower."""
    halved = str(precision).startswith(("16", "bf16"))  # on a CPU the trainer takes the one for the other
    return "32-true" if halved and _on_cpu(accelerator) and lacks_bfloat16(torch.device("cpu")) else precision


class KeepConfig(SaveConfigCallback):
    """Keeps the settings of a run once it trains: not of one that is refused, nor of a validation."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        pass

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().setup(trainer, module, "fit")


class UniTokCLI(LightningCLI):
    """Adds `--threads`; `fill` completes the settings of a subcommand before anything is made of them."""

    def __init__(self, *args, fill: Callable[[Namespace], None] | None = None, **options):
        self.fill = fill
        with ExitStack() as self._held:
            super().__init__(*args, **options)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 takes all cores")

    def before_instantiate_classes(self) -> None:
        if self.fill is not None:
            self.fill(self.config[self.subcommand])

    def parse_arguments(self, parser: LightningArgumentParser, args: Sequence[str]) -> None:
        if args and args[0].startswith("-") and not {*self.subcommands(), "-h", "--help"} & set(args):
            raise ValueError(
                f"what to do comes first: {', '.join(self.subcommands())}, as in fit {args[0]} …"
            )
        files = configs(args)
        for file in files:
            refuse_renamed(read_config(file), place=f"{file}: ")
        for word in args:
            refuse_renamed({"class_path": word.rpartition("=")[2]} if "." in word else {})
        own = signature(self.datamodule_class).parameters.keys()
        with in_plain_words(files, self._settings(args)):
            super().parse_arguments(parser, replaced(args, own))
        self.flagged = flagged(args)

    def _settings(self, args: Sequence[str]) -> set[str]:
        """Names of the settings of the subcommand that a command line gives."""
        command = next((word for word in args if word in self._subcommand_parsers), "fit")
        return {action.dest for action in self._subcommand_parsers[command]._actions}

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """What can be done: what Lightning does, but to predict, which scripts of `sample` do."""
        return {name: own for name, own in LightningCLI.subcommands().items() if name != "predict"}

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        if threads := self.config[self.subcommand].threads:
            torch.set_num_threads(threads)
        for part, made in (("data", self.datamodule), ("model", self.model)):
            for name, reason in made.without_effect().items():
                self._tell(f"{part}.{name}", reason)

    def _tell(self, setting: str, reason: str) -> None:
        """Say that a setting does nothing, if a flag gives it."""
        if any(flag == setting or flag.startswith(f"{setting}.") for flag in self.flagged):
            self.trainer.print(f"--{setting} has no effect: {reason}")

    def _parse_ckpt_path(self) -> None:
        """A checkpoint gives weights and counters; the settings are those of the config and the flags."""

    def before_fit(self) -> None:
        config, folder = self.config[self.subcommand], Path(self.trainer.default_root_dir)
        if self.trainer.is_global_zero:
            self._held.enter_context(alone_in(folder))
        self._choose_checkpoint()
        if self.config_init[self.subcommand].ckpt_path:
            _print_changes(folder / "logs/config.yaml", config)

    def before_validate(self) -> None:
        self._choose_measured()

    def before_test(self) -> None:
        self._choose_measured()

    def _choose_measured(self) -> None:
        """Raises ValueError where neither a checkpoint nor a folder gives the weights that are measured."""
        given = self.config[self.subcommand]
        if given.ckpt_path is None and not given.model.get("init_from"):
            raise ValueError("give --ckpt_path best, last or a file: without one the weights are random")
        self._choose_checkpoint()

    def _choose_checkpoint(self) -> None:
        """Say which file `best`, `last` and `auto` are. Raises ValueError where `best` or `last` is none."""
        asked, folder = self.config[self.subcommand].ckpt_path, Path(self.trainer.default_root_dir)
        if asked == "best":
            if not (folder / BEST).is_file():
                raise ValueError(f"{folder / BEST} is not there: a run writes it when it validates")
            self.config_init[self.subcommand].ckpt_path = str(folder / BEST)
        if asked not in ("last", "auto"):
            return
        there = any((folder / name).exists() for name in (LAST, PREVIOUS))
        if asked == "last" and not there:
            raise ValueError(
                f"{folder / LAST} is not there to go on from; --ckpt_path auto begins a new run where none is"
            )
        self.config_init[self.subcommand].ckpt_path = str(folder / LAST) if there else None


def _print_changes(path: Path, config: Namespace) -> None:
    """Say which settings differ from those that the run was begun with: the new ones count."""
    if not path.is_file():
        return
    before, now = _flat(yaml.safe_load(path.read_bytes()) or {}), _flat(config.as_dict())
    for name in sorted(before.keys() & now.keys() - {"ckpt_path", "config"}):
        if before[name] != now[name]:
            print(f"{name}: {before[name]} -> {now[name]}")


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested settings by dotted names, as YAML would write them."""
    if not isinstance(values, dict) or not values:
        return {name: json.loads(json.dumps(values, default=str))}
    inner = [_flat(value, f"{name}.{key}" if name else str(key)) for key, value in values.items()]
    return {key: value for part in inner for key, value in part.items()}


def run(
    model: type[LightningModule],
    data: type[LightningDataModule],
    args: Sequence[str] | None = None,
    *,
    program: str,
    export: str,
    fill: Callable[[Namespace], None] | None = None,
) -> UniTokCLI:
    """Parse a command line, let `fill` complete it and carry it out; user errors become one line and exit
    code 2."""
    _quiet()
    with (
        plain_errors(program),
        _as_value_error(MisconfigurationException),
        in_plain_words(),
        _interruptions(),
        _named_log(),
    ):
        return UniTokCLI(
            model,
            data,
            args=sys.argv[1:] if args is None else args,
            fill=fill,
            trainer_class=RunFolder,
            trainer_defaults={
                "export": export,
                "use_distributed_sampler": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "check_val_every_n_epoch": None,
                "log_every_n_steps": 20,
            },
            save_config_callback=KeepConfig,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            parser_kwargs={"prog": program, "exit_on_error": False},
        )


@contextmanager
def _interruptions() -> Iterator[None]:
    """A run that a signal ended has that signal's exit code."""
    try:
        yield
    except Interrupted as stop:
        print(stop)
        raise SystemExit(stop.code) from stop


@contextmanager
def _named_log() -> Iterator[None]:
    """What TensorBoard's thread could not write, the run raises too: it is told once, and names the file."""
    before = threading.excepthook

    def name(failure: threading.ExceptHookArgs) -> None:
        error, thread = failure.exc_value, failure.thread
        if not isinstance(thread, _AsyncWriterThread) or not isinstance(error, OSError):
            return before(failure)
        error.filename = error.filename or os.fsdecode(thread._record_writer._writer.filename)

    threading.excepthook = name
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _as_value_error(kind: type[Exception]) -> Iterator[None]:
    """What the trainer calls a wrong configuration is a wrong value here."""
    try:
        yield
    except kind as error:
        raise ValueError(str(error)) from error


def _quiet() -> None:
    """Silence what a user cannot act on: the trainer's banners, and advice that is wrong for small runs."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    for text in (
        ".*LightningCLI's args parameter.*",
        ".*does not have many workers.*",
        ".*Checkpoint directory.*",
        ".*Mismatch dtype between input and weight.*",
        ".*LeafSpec.*",
        ".*sync_dist=True.*",
        ".*is smaller than the logging interval.*",
    ):
        warnings.filterwarnings("ignore", text)
    torch.set_float32_matmul_precision("high")
