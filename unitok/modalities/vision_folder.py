"""A vision folder: what sees images, and the way from there to a transformer, without the transformer.

It holds config.json, the encoder's files under `encoder/`, and bridge.safetensors if the bridge starts with
given weights. A folder of a whole model is read as one, too. Knows no other project's formats.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from unitok.atomic_files import atomic_folder, finish_folder, refuse_occupied, write_text
from unitok.json_files import read_object
from unitok.modalities.vision import ENCODER, FOLDER, VisionConfig
from unitok.models.weights import write_weights

CONFIG, BRIDGE, MODEL = "config.json", "bridge.safetensors", "model.safetensors"
KIND = "unitok_vision"


@dataclass(frozen=True)
class VisionFolder:
    """The content of a vision folder.

    Args:
        config: the settings; the encoder's files may be anywhere.
        bridge: weights of the bridge by name, such as layers.out.weight; empty for a new bridge.
    """

    config: VisionConfig
    bridge: Mapping[str, Tensor]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folder, atomically. Raises the errors of `refuse_foreign`, and those of the encoder."""
        self.refuse_foreign(folder)
        encoder = self.config.encoder
        with atomic_folder(folder, durable=True) as beside:
            encoder.save(beside / ENCODER, encoder.build(None))
            if self.bridge:
                write_weights(beside / BRIDGE, self.bridge)
            settings = {"model_type": KIND} | self.config.placed(ENCODER).to_json()
            write_text(beside / CONFIG, json.dumps(settings, indent=2) + "\n")

    @staticmethod
    def refuse_foreign(folder: str | Path) -> None:
        """Raises FileExistsError where the path is a file, or a folder with other contents."""
        finish_folder(folder)
        try:
            ours = read_object(Path(folder) / CONFIG).get("model_type") == KIND
        except (OSError, ValueError):
            ours = False
        refuse_occupied(folder, ours=ours, what="a vision folder")


def read_vision_folder(folder: str | Path) -> VisionConfig:
    """The vision of a vision folder or of a model's folder, with the weights of its bridge.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is another folder, or its settings are wrong.
    """
    folder = Path(folder)
    finish_folder(folder)
    try:
        values = read_object(folder / CONFIG)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{folder}: not a vision folder ({CONFIG} is missing)") from error
    kind = values.pop("model_type", None)
    if kind == KIND:
        place, weights = folder / ENCODER, folder / BRIDGE
    elif kind == "unitok" and isinstance(values.get(FOLDER), dict):
        values, place, weights = values[FOLDER], folder / FOLDER / ENCODER, folder / MODEL
    else:
        raise ValueError(
            f"{folder}: must be a vision folder or a model with vision, got model_type {kind!r:.80}: "
            "unitok convert makes a vision folder of another project's model"
        )
    try:
        config = VisionConfig.from_json(values).placed(place)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG}: {error}") from error
    return replace(config, bridge_weights=str(weights) if weights.is_file() else None)
