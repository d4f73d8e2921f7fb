"""Vision folders of other projects' models: the encoder, and the weights of their bridge by our names.

What is kept is what sees and the way to the language model; the language model itself is not read.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from unitok.interop.files import Tensors, locate_tensors, read_config, read_tensors
from unitok.interop.vision.families import FAMILIES
from unitok.interop.vision.pretrained import Pretrained
from unitok.modalities.vision import VisionConfig
from unitok.modalities.vision_folder import VisionFolder
from unitok.models.vision.bridge import BridgeConfig, Projector
from unitok.models.vision.qformer import QFormer
from unitok.models.weights import check_tensors


class Parts(NamedTuple):
    """What a model has to see with.

    `layer`, `prefix` and `size` are those of Pretrained, `bridge` are the settings, and `names` gives for
    each weight of our bridge the name of theirs.
    """

    layer: int | None = -2
    prefix: bool = False
    bridge: BridgeConfig = Projector()
    names: Mapping[str, str] = {}
    size: tuple[int, int] | None = None


class Model:
    """A folder of transformers' layout.

    Args:
        folder: with config.json and tensors.
    """

    def __init__(self, folder: str | Path):
        self.folder, self.config = folder, read_config(folder)
        self.places = locate_tensors(folder)

    def setting(self, name: str, default: Any, *supported: Any) -> Any:
        """A setting of config.json. Raises ValueError if it is none of those supported."""
        value = self.config.get(name, default)
        if supported and value not in supported:
            known = " or ".join(map(str, supported))
            raise ValueError(f"{self.folder}: {name} must be {known}, got {value!r:.80}")
        return value

    def find(self, name: str) -> str | None:
        """The whole name of a tensor that ends in this one."""
        found = [whole for whole in self.places if whole == name or whole.endswith(f".{name}")]
        return min(found, key=len, default=None)

    def read(self, names: Mapping[str, str]) -> Tensors:
        """Tensors by our names, in float32. Raises ValueError for one that is missing."""
        wholes = {ours: self.find(theirs) for ours, theirs in names.items()}
        if missing := [names[ours] for ours, whole in wholes.items() if whole is None]:
            raise ValueError(f"{self.folder}: no tensor {missing[0]}")
        found = read_tensors({whole: self.places[whole] for whole in wholes.values()})
        return {ours: found[whole].float() for ours, whole in wholes.items()}


def _encoder(model: Model) -> Parts:
    """An encoder alone; its bridge is new."""
    return Parts()


def _llava(model: Model) -> Parts:
    """Two linear layers with a GELU on each vector of one layer (arXiv:2310.03744)."""
    model.setting("projector_hidden_act", "gelu", "gelu")
    layer = model.setting("vision_feature_layer", -2)
    if type(layer) is not int:
        raise ValueError(f"{model.folder}: vision_feature_layer must be one integer, got {layer!r:.80}")
    full = model.setting("vision_feature_select_strategy", "default", "default", "full") == "full"
    first = _tower_prefix(model)
    if not full and first != 1:
        raise ValueError(f"{model.folder}: vision_feature_select_strategy must be full, got default")
    projector = {"first": "multi_modal_projector.linear_1", "out": "multi_modal_projector.linear_2"}
    names = _weights(model, projector)
    hidden = len(model.read({"": names["layers.first.weight"]})[""])
    bridge = Projector(hidden=hidden, norm="none", bias="layers.out.bias" in names)
    return Parts(layer, full and first > 0, bridge, names)


def _paligemma(model: Model) -> Parts:
    """A linear layer on each vector after the last norm (arXiv:2407.07726)."""
    return Parts(
        layer=None,
        bridge=Projector(norm="none"),
        names=_weights(model, {"out": "multi_modal_projector.linear"}),
    )


def _internvl(model: Model) -> Parts:
    """Squares of vectors are merged, normalised and projected twice (arXiv:2404.16821)."""
    model.setting("projector_hidden_act", "gelu", "gelu")
    model.setting("vision_feature_select_strategy", "default", "default")
    layer = model.setting("vision_feature_layer", -1)
    merge = round(1 / model.setting("downsample_ratio", 0.5))
    layers = {"before": "layer_norm", "first": "linear_1", "out": "linear_2"}
    names = _weights(model, {ours: f"multi_modal_projector.{theirs}" for ours, theirs in layers.items()})
    hidden = len(model.read({"": names["layers.first.weight"]})[""])
    return Parts(None if layer == -1 else layer, False, Projector(hidden, merge=merge), names)


QWEN_SIZE = (448, 448)
"""Of an image for a model that takes any size; another one, or several tiles, by the folder's config.json."""


def _qwen(model: Model, layers: tuple[str, ...]) -> Parts:
    """Squares of vectors, each normalised, are merged and projected twice (arXiv:2409.12191, section 2.1)."""
    names = zip(("each", "first", "out"), (f"merger.{name}" for name in layers), strict=True)
    weights = _weights(model, dict(names))
    hidden = len(model.read({"": weights["layers.first.weight"]})[""])
    return Parts(None, False, Projector(hidden, norm="each", merge=2), weights, QWEN_SIZE)


QFORMER_LAYER = {
    **{f"attention.{part}": f"attention.attention.{part}" for part in ("query", "key", "value")},
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate_query.dense",
    "down": "output_query.dense",
    "feed_forward_norm": "output_query.LayerNorm",
}
QFORMER_CROSS = {
    **{f"cross.{part}": f"crossattention.attention.{part}" for part in ("query", "key", "value")},
    "cross.out": "crossattention.output.dense",
    "cross_norm": "crossattention.output.LayerNorm",
}


def _blip2(model: Model) -> Parts:
    """Queries that read all states of the encoder, CLS too, through a BERT (arXiv:2301.12597)."""
    given = model.setting("qformer_config", {})
    if given.get("hidden_act", "gelu") != "gelu" or given.get("use_qformer_text_input"):
        raise ValueError(
            f"{model.folder}: qformer_config must have gelu and no text input, got {given!r:.80}"
        )
    sizes = {ours: given.get(theirs, default) for ours, (theirs, default) in QFORMER_SIZES.items()}
    queries = model.read({"queries": "query_tokens"})["queries"].shape[1]
    bridge = QFormer(queries=queries, positions=False, **sizes)
    layers = {"norm": "qformer.layernorm", "out": "language_projection"}
    for layer in range(bridge.layers):
        parts = QFORMER_LAYER | (QFORMER_CROSS if layer % bridge.every == 0 else {})
        layers |= {f"layers.{layer}.{a}": f"qformer.encoder.layer.{layer}.{b}" for a, b in parts.items()}
    return Parts(None, True, bridge, {"layers.queries": "query_tokens"} | _weights(model, layers))


QFORMER_SIZES = {
    "width": ("hidden_size", 768),
    "layers": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "hidden": ("intermediate_size", 3072),
    "every": ("cross_attention_frequency", 2),
}
"""Our settings, with the name of the same in transformers' Blip2QFormerConfig, and its default."""


def _weights(model: Model, layers: Mapping[str, str]) -> dict[str, str]:
    """Names of the weights and biases of layers; a bias may be missing."""
    names = {f"layers.{ours}.weight": f"{theirs}.weight" for ours, theirs in layers.items()}
    biases = {f"layers.{ours}.bias": f"{theirs}.bias" for ours, theirs in layers.items()}
    return names | {ours: theirs for ours, theirs in biases.items() if model.find(theirs)}


def _tower_prefix(model: Model) -> int:
    return Pretrained(str(model.folder)).tower.prefix


class Reader(NamedTuple):
    """How a format is read, and the model_type of its folders or of their towers."""

    parts: Callable[[Model], Parts]
    kinds: tuple[str, ...]


READERS = {
    "siglip": Reader(_encoder, ("siglip_vision_model",)),
    "clip": Reader(_encoder, ("clip_vision_model",)),
    "dinov2": Reader(_encoder, ("dinov2", "dinov2_with_registers")),
    "llava": Reader(_llava, ("llava", "llava_next")),
    "paligemma": Reader(_paligemma, ("paligemma",)),
    "internvl": Reader(_internvl, ("internvl",)),
    "blip2": Reader(_blip2, ("blip-2",)),
    "qwen2vl": Reader(partial(_qwen, layers=("ln_q", "mlp.0", "mlp.2")), ("qwen2_vl",)),
    "qwen3vl": Reader(partial(_qwen, layers=("norm", "linear_fc1", "linear_fc2")), ("qwen3_vl",)),
}
"""By the names of `VISION_FORMATS`."""


def read(folder: str | Path, kind: str) -> VisionFolder:
    """Read what sees in a folder, and its bridge if it has one.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the folder is of another format, lacks a tensor, or has a setting that ours has not.
    """
    model, reader = Model(folder), READERS[kind]
    found = model.config.get("model_type")
    if reader.parts is _encoder and found not in FAMILIES:
        found = (model.config.get("vision_config") or {}).get("model_type")
    if found not in reader.kinds:
        known = " or ".join(reader.kinds)
        raise ValueError(f"{folder}: model_type must be {known} for {kind}, got {found!r:.80}")
    parts = reader.parts(model)
    encoder = Pretrained(str(folder), layer=parts.layer, prefix=parts.prefix, size=parts.size)
    tensors = model.read(parts.names)  # query_tokens are a batch of one
    weights = {name: one.squeeze(0) if one.ndim == 3 else one for name, one in tensors.items()}
    if weights:
        with torch.device("meta"):
            grid = encoder.grid(encoder.input_size(None), None)
            width = len(weights["layers.out.weight"])
            layers = parts.bridge.build(encoder.dim(None), width, grid).state_dict()
        check_tensors(weights, {f"layers.{name}": t for name, t in layers.items()}, source=folder)
    return VisionFolder(VisionConfig(encoder, parts.bridge), weights)
