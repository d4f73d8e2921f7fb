"""Makes a model of any checkpoint of a run: its last, its best, or a file. Knows no other format."""

import tempfile
from pathlib import Path

import yaml

from unitok.atomic_files import write_text
from unitok.cli.commands import train_model, train_tokenizer
from unitok.cli.yaml_defaults import read_config
from unitok.modalities.text import TEXT_TOKENIZER
from unitok.training.run.checkpoint import BEST, LAST, RUN_CONFIG

CHECKPOINTS = {"last": LAST, "best": BEST}


def is_run(path: Path) -> bool:
    """Whether a path is a run's folder, or a checkpoint in one."""
    return (_folder(path) / RUN_CONFIG).is_file()


def export_run(path: Path, out: Path, *, checkpoint: str = "last") -> Path:
    """Writes the model, or the image tokenizer, of a run's checkpoint; returns the checkpoint.

    Args:
        path: the run's folder, or a checkpoint in it.
        out: the folder to write.
        checkpoint: "last" or "best", where `path` is the folder.

    Raises:
        FileNotFoundError: there is no such checkpoint.
    """
    file = path if path.is_file() else path / CHECKPOINTS[checkpoint]
    if not file.is_file():
        raise FileNotFoundError(f"{file}: not found: a run writes it when it validates or ends")
    settings = read_config(_folder(path) / RUN_CONFIG)
    part = train_tokenizer if "architecture" in settings["model"] else train_model
    settings["trainer"] |= {"callbacks": None, "logger": None}
    own_texts = _folder(path) / TEXT_TOKENIZER
    if part is train_model and own_texts.is_file():
        settings["data"]["codec"]["text_tokenizer"] = str(own_texts.resolve())
    with tempfile.TemporaryDirectory() as folder:
        settings["trainer"]["default_root_dir"] = folder
        config = Path(folder) / "config.yaml"
        write_text(config, yaml.safe_dump(settings))
        nothing = ("--trainer.limit_val_batches", "0", "--trainer.enable_progress_bar", "false")
        cli = part.main(["validate", "--config", str(config), "--ckpt_path", str(file.resolve()), *nothing])
        cli.model.refuse_foreign(out)
        cli.model.export(str(out))
    return file


def _folder(path: Path) -> Path:
    return path.parent if path.is_file() else path
