"""The command line of both trainings: Lightning's, with this project's defaults. Knows no model.

`fit --config FILE` trains into `trainer.default_root_dir`; `--ckpt_path last` resumes the run of that folder,
`--ckpt_path auto` does so if it has a checkpoint.
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
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

from unitok.atomic_files import lock_folder
from unitok.cli.count_or_share import read_integers_first
from unitok.cli.data_overrides import config_files, flags, resolve_data_overrides
from unitok.cli.packaged_configs import locate_all
from unitok.cli.unknown_settings import clear_parser_errors
from unitok.cli.yaml_defaults import read_config
from unitok.console import plain_errors
from unitok.renamed import check_class_path, check_class_paths, check_settings, renamed_setting
from unitok.training.class_paths import CALLBACKS, ENCODERS, MODALITIES, SOURCES, import_classes
from unitok.training.run.checkpoint import BEST, LAST, PREVIOUS, RUN_CONFIG
from unitok.training.run.interruption import Interrupted
from unitok.training.run.trainer import RunFolder

_PARSERS: dict[tuple, dict[str, Any]] = {}
"""Parsers by model, data and subcommands, as attributes of a command line."""


class SaveConfig(SaveConfigCallback):
    """Saves the settings of a run once it trains: not those of a failed start, nor of a validation."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        pass

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().setup(trainer, module, "fit")


class UniTokCLI(LightningCLI):
    """Adds `--threads`; `fill` completes the settings of a subcommand before classes are instantiated."""

    def __init__(self, *args, fill: Callable[[Namespace], None] | None = None, **options):
        self.fill = fill
        self._named = self.subcommands().keys() & set(options["args"])
        with ExitStack() as self._locks:
            super().__init__(*args, **options)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 takes all cores")
        read_integers_first(parser)

    def setup_parser(self, *settings) -> None:
        """Build the parsers of a command line's subcommands once in a process, since each takes a while."""
        every = self.subcommands()
        named = {name: every[name] for name in every if name in self._named} or every
        key = self.model_class, self.datamodule_class, *named
        if key not in _PARSERS:
            self.subcommands = lambda: named
            super().setup_parser(*settings)
            del self.subcommands
            set_by_it = "parser", "_subcommand_parsers", "_subcommand_method_arguments"
            _PARSERS[key] = {name: getattr(self, name) for name in set_by_it}
        vars(self).update(_PARSERS[key])

    def before_instantiate_classes(self) -> None:
        if self.fill is not None:
            self.fill(self.config[self.subcommand])

    def parse_arguments(self, parser: LightningArgumentParser, args: Sequence[str]) -> None:
        if args and args[0].startswith("-") and not {*self.subcommands(), "-h", "--help"} & set(args):
            raise ValueError(
                f"the first argument must be one of {', '.join(self.subcommands())}, as in fit {args[0]} …"
            )
        args = locate_all(args)
        files = config_files(args)
        for file in files:
            check_class_paths(read_config(file), place=f"{file}: ")
            check_settings(read_config(file), place=f"{file}: ")
        for word in filter(lambda word: "." in word, args):
            check_class_path(word.rpartition("=")[2])
        self.flags = flags(args)
        for name, value in self.flags.items():
            if new := renamed_setting(name, value):
                raise ValueError(f"--{name} is now --{new}")
        data_settings = signature(self.datamodule_class).parameters.keys()
        with clear_parser_errors(files, self._setting_names(args)):
            super().parse_arguments(parser, resolve_data_overrides(args, data_settings))

    def _setting_names(self, args: Sequence[str]) -> set[str]:
        """Names of the settings of a command line's subcommand."""
        command = next((word for word in args if word in self._subcommand_parsers), "fit")
        return {action.dest for action in self._subcommand_parsers[command]._actions}

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's subcommands except predict; the scripts in `sample` do that."""
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name != "predict"}

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        if threads := self.config[self.subcommand].threads:
            torch.set_num_threads(threads)
        for prefix, instance in (("data", self.datamodule), ("model", self.model)):
            for name, reason in instance.ineffective_settings().items():
                self._report_ineffective(f"{prefix}.{name}", reason)

    def _report_ineffective(self, setting: str, reason: str) -> None:
        """Print that a setting has no effect, if a flag gives it."""
        if any(flag == setting or flag.startswith(f"{setting}.") for flag in self.flags):
            self.trainer.print(f"--{setting} has no effect: {reason}")

    def _parse_ckpt_path(self) -> None:
        """Take no settings from a checkpoint: they come from configs and flags alone."""

    def before_fit(self) -> None:
        config, folder = self.config[self.subcommand], Path(self.trainer.default_root_dir)
        if self.trainer.is_global_zero:
            self._locks.enter_context(lock_folder(folder))
        self._resolve_checkpoint()
        if self.config_init[self.subcommand].ckpt_path:
            _print_changes(folder / RUN_CONFIG, config)

    def before_validate(self) -> None:
        self._require_weights()

    def before_test(self) -> None:
        self._require_weights()

    def _require_weights(self) -> None:
        """Raises ValueError if neither a checkpoint nor a folder gives the weights to measure."""
        config = self.config[self.subcommand]
        if config.ckpt_path is None and not config.model.start.init_from:
            raise ValueError("give --ckpt_path best, last or a file: without one the weights are random")
        self._resolve_checkpoint()

    def _resolve_checkpoint(self) -> None:
        """Resolve `best`, `last` and `auto` to a file. Raises ValueError if `best` or `last` is missing."""
        name, folder = self.config[self.subcommand].ckpt_path, Path(self.trainer.default_root_dir)
        if name == "best":
            if not (folder / BEST).is_file():
                raise ValueError(f"{folder / BEST}: not found: a run writes it when it validates")
            self.config_init[self.subcommand].ckpt_path = str(folder / BEST)
        if name not in ("last", "auto"):
            return
        exists = any((folder / file).exists() for file in (LAST, PREVIOUS))
        if name == "last" and not exists:
            raise ValueError(
                f"{folder / LAST}: not found: --ckpt_path auto starts a new run if there is no checkpoint"
            )
        self.config_init[self.subcommand].ckpt_path = str(folder / LAST) if exists else None


def _print_changes(path: Path, config: Namespace) -> None:
    """Print the settings that differ from those with which the run was started; the new ones apply."""
    if not path.is_file():
        return
    old, new = _flatten(yaml.safe_load(path.read_bytes()) or {}), _flatten(config.as_dict())
    old = {renamed_setting(name, value) or name: value for name, value in old.items()}
    for name in sorted(old.keys() & new.keys() - {"ckpt_path", "config"}):
        if old[name] != new[name]:
            print(f"{name}: {old[name]} -> {new[name]}")


def _flatten(values: Any, name: str = "") -> dict[str, Any]:
    """Nested settings by dotted names, as YAML would write them."""
    if not isinstance(values, dict) or not values:
        return {name: json.loads(json.dumps(values, default=str))}
    flat = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{name}.{key}" if name else str(key))
    return flat


def run(
    model: type[LightningModule],
    data: type[LightningDataModule],
    args: Sequence[str] | None = None,
    *,
    program: str,
    export: str,
    fill: Callable[[Namespace], None] | None = None,
) -> UniTokCLI:
    """Parse a command line, let `fill` complete it, and run it; user errors exit with one line and code 2."""
    _silence_noise()
    import_classes(*SOURCES, *MODALITIES, *ENCODERS, *CALLBACKS)
    with (
        plain_errors(program),
        _as_value_error(MisconfigurationException),
        clear_parser_errors(),
        _exit_on_interruption(),
        _name_log_file(),
    ):
        return UniTokCLI(
            model,
            data,
            args=sys.argv[1:] if args is None else args,
            fill=fill,
            trainer_class=RunFolder,
            trainer_defaults={
                "monitor": model.MONITOR,
                "export": export,
                "use_distributed_sampler": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "check_val_every_n_epoch": None,
                "log_every_n_steps": 20,
            },
            save_config_callback=SaveConfig,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            load_from_checkpoint_support=False,  # would write out all settings, which takes long
            parser_kwargs={"prog": program, "exit_on_error": False},
        )


@contextmanager
def _exit_on_interruption() -> Iterator[None]:
    """Exit with the code of the signal that ended a run."""
    try:
        yield
    except Interrupted as stop:
        print(stop)
        raise SystemExit(stop.code) from stop


@contextmanager
def _name_log_file() -> Iterator[None]:
    """Add the file's name to write errors of TensorBoard's thread; the run raises them again, so they are not
    printed here."""
    original = threading.excepthook

    def add_name(failure: threading.ExceptHookArgs) -> None:
        error, thread = failure.exc_value, failure.thread
        if not isinstance(thread, _AsyncWriterThread) or not isinstance(error, OSError):
            return original(failure)
        error.filename = error.filename or os.fsdecode(thread._record_writer._writer.filename)

    threading.excepthook = add_name
    try:
        yield
    finally:
        threading.excepthook = original


@contextmanager
def _as_value_error(kind: type[Exception]) -> Iterator[None]:
    """Raise exceptions of another kind as ValueError."""
    try:
        yield
    except kind as error:
        raise ValueError(str(error)) from error


def _silence_noise() -> None:
    """Silence messages a user cannot act on: the trainer's banners, and advice wrong for small runs."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.trainer.connectors.checkpoint_connector").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    for text in (
        ".*LightningCLI's args parameter.*",
        ".*does not have many workers.*",
        ".*Checkpoint directory.*",
        ".*Mismatch dtype between input and weight.*",
        ".*LeafSpec.*",
        ".*sync_dist=True.*",
        ".*is smaller than the logging interval.*",
        ".*The dirpath has changed.*",
        ".*in eval mode at the start of training.*",
    ):
        warnings.filterwarnings("ignore", text)
    torch.set_float32_matmul_precision("high")
