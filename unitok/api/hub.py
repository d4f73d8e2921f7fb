"""Finds a model's folder by its name: a path, the bundled model, or the Hugging Face Hub's.

Of the Hub come JSON and safetensors alone, by huggingface_hub (extra `hub`).
"""

import re
from pathlib import Path
from typing import Any

from unitok.console import BUNDLED
from unitok.foreign_names import unknown_arguments

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
FILES = ("*.json", "*.safetensors")
PACKAGED = Path(__file__).parent / BUNDLED
"""The folder of the bundled model, which `make bundled` writes."""
OPTIONS = ("revision", "token", "cache_dir", "local_files_only")
"""Arguments of huggingface_hub's snapshot_download."""


def model_folder_of(name: str | Path, **options: Any) -> Path:
    """Return the folder of this name, or download the model that has it on the Hub.

    Args:
        name: a folder, "bundled" for the model inside the package, or USER/NAME; a folder that exists, or
            whose parent does, is never looked up.
        options: some of OPTIONS.

    Raises:
        FileNotFoundError: neither a folder nor a model on the Hub, or the Hub cannot be reached.
        ValueError: an unknown option.
    """
    if unknown := options.keys() - set(OPTIONS):
        raise unknown_arguments(unknown, known=("device", "dtype", "verify", "compile", *OPTIONS))
    folder = PACKAGED if name == BUNDLED else Path(name)
    if not isinstance(name, str) or not REPOSITORY.fullmatch(name) or folder.parent.exists():
        return folder
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        hint = "for models of the Hub install huggingface_hub: pip install -e '.[hub]'"
        raise FileNotFoundError(f"{name}: not a model folder; {hint}") from error
    given = {key: value for key, value in options.items() if value is not None}
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), **given))
    except Exception as error:  # of HTTP, of the cache, of the repository: each library has its own kinds
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise FileNotFoundError(f"{name}: not a model folder, and not on the Hub: {reason}") from error
