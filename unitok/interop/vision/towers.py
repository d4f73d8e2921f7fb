"""Vision towers of transformers' folders: their part of config.json and of the tensors.

A folder holds a tower alone (DINOv2), or a model that has one under `vision_config` (CLIP, LLaVA). Only the
tower's tensors are read. Knows no pixels.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from unitok.interop.files import Tensors, locate_tensors, read_config, read_tensors
from unitok.interop.vision.families import FAMILIES

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


IGNORED = ("model_type", "out_features", "out_indices", "stage_names")
"""Settings that are those of the class, or name the layers of a backbone."""


class Tower:
    """The vision tower of a folder.

    Args:
        folder: of transformers' layout.
        layer: index of the hidden state that is its output, from 0 or, negative, from the last; None for the
            last one after the last norm.

    Raises:
        FileNotFoundError: config.json is missing.
        ValueError: the folder is of another family, or has no such layer, or transformers is not installed.
    """

    def __init__(self, folder: str | Path, layer: int | None):
        self.folder, self.normed = Path(folder), layer is None
        self.stored_dtype = torch.float32
        self.kind, values = _tower_values(folder)
        self.family = FAMILIES[self.kind]
        whole = self._config(values)
        layers = whole.num_hidden_layers
        depth = layers if layer is None else layer if layer >= 0 else layers + 1 + layer
        if not 1 <= depth <= layers:
            raise ValueError(f"{folder}: layer must be in -{layers}..{layers} and not 0, got {layer}")
        self.depth = depth
        self.config = self._config(values | self.family.settings(whole, depth))

    def _config(self, values: Mapping[str, Any]) -> "PreTrainedConfig":
        kind = self._model.config_class
        try:
            return kind(**{name: value for name, value in values.items() if name not in IGNORED})
        except Exception as error:  # its checks raise errors of many kinds, of several lines
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ValueError(f"{self.folder}: config.json cannot be read as {self.kind}: {reason}") from error

    @property
    def _model(self) -> type["PreTrainedModel"]:
        """The tower's class in transformers. Raises ValueError if transformers, or the class, is missing."""
        try:
            model = self.family.find()
        except ImportError as error:
            raise ValueError(
                f"{self.folder}: Pretrained needs transformers: pip install 'unitok-lm[vision]'"
            ) from error
        if model is None:
            raise ValueError(f"{self.folder}: {self.kind} needs a later transformers")
        return model

    @property
    def dim(self) -> int:
        """Channels of a hidden state."""
        return self.family.dim(self.config)

    @property
    def cell(self) -> int:
        """Pixels per side of a patch."""
        return _side(self.config.patch_size)

    @property
    def image_size(self) -> int | None:
        """Pixels per side of the images that it was trained on; None for any."""
        return _side(size) if (size := getattr(self.config, "image_size", None)) else None

    @property
    def prefix(self) -> int:
        """Number of states before those of the patches."""
        return self.family.prefix + getattr(self.config, "num_register_tokens", 0)

    def build(self) -> "PreTrainedModel":
        """The tower up to its layer; its weights are not initialised."""
        from transformers.initialization import no_init_weights

        with torch.device("cpu"), no_init_weights():  # its buffers are in no file, so they must not be "meta"
            return self._trim(self._model(self.config))

    def load(self) -> "PreTrainedModel":
        """The tower up to its layer with the weights of the folder, in float32.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a tensor is missing or of another shape, or there are pickled weights alone.
        """
        tensors = self._read()
        self.stored_dtype = tensors[self.family.patches].dtype
        with quiet():  # transformers knows the names that the tensors have had
            model, report = self._model.from_pretrained(
                None,
                config=self.config,
                state_dict=tensors,
                dtype=torch.float32,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        shapes = {name: tuple(tensor.shape) for name, tensor in self._trim(model).state_dict().items()}
        for name, got, expected in sorted(report["mismatched_keys"]):
            if name in shapes:
                raise ValueError(f"{self.folder}: tensor {name} must be {tuple(expected)}, got {tuple(got)}")
        if missing := sorted(shapes.keys() & set(report["missing_keys"])):
            raise ValueError(f"{self.folder}: tensor {missing[0]} must be {shapes[missing[0]]}, got absent")
        return model

    def _trim(self, model: "PreTrainedModel") -> "PreTrainedModel":
        """Take out what its output does not need."""
        self.family.trim(model, normed=self.normed)
        return model.eval()

    def _read(self) -> Tensors:
        """The tower's tensors; in a whole model, their names have a prefix."""
        places, patches = locate_tensors(self.folder), self.family.patches
        landmark = next((name for name in places if name == patches or name.endswith(f".{patches}")), None)
        if landmark is None:
            raise ValueError(f"{self.folder}: tensor {patches} must be present, got none of this name")
        prefix = landmark[: -len(patches)]
        found = read_tensors({name: path for name, path in places.items() if name.startswith(prefix)})
        return {name.removeprefix(prefix): tensor for name, tensor in found.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bar, and its report of layers that are left out on purpose."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _tower_values(folder: str | Path) -> tuple[str, dict[str, Any]]:
    """The model_type of a folder's tower, and its part of config.json.

    Raises ValueError for a family that is not in FAMILIES.
    """
    values = read_config(folder)
    kind = values.get("model_type")
    if isinstance(part := values.get("vision_config"), dict):
        kind, values = part.get("model_type") or kind, part
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ValueError(f"{folder}: model_type of the vision tower must be one of {known}, got {kind!r:.80}")
    return kind, values


def _side(size: Any) -> int:
    """A size of a square, given as one number or as two equal ones."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f"patch_size and image_size must be those of squares, got {size}")
    return sides.pop()
