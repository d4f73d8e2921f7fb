"""Class paths and settings of earlier versions, and the error that names today's. Imports nothing."""

from collections.abc import Iterator

_MODULES = {
    "unitok.data.answered": "unitok.data.readers.question_shards",
    "unitok.data.augment": "unitok.data.transforms.augment",
    "unitok.data.boxes_lessons": "unitok.worlds.nlvr.lessons",
    "unitok.data.fills": "unitok.data.transforms.inpainting",
    "unitok.data.mixed": "unitok.data.mixture",
    "unitok.data.nlvr": "unitok.worlds.nlvr.source",
    "unitok.data.readers.base": "unitok.data.source",
    "unitok.data.readers.idx": "unitok.data.readers.mnist_idx",
    "unitok.data.readers.plain": "unitok.data.readers.plain_text",
    "unitok.data.readers.stream": "unitok.data.readers.hf_stream",
    "unitok.data.resize": "unitok.data.transforms.resize",
    "unitok.data.shapes": "unitok.worlds.shapes.scenes",
    "unitok.data.shapes_naming": "unitok.worlds.shapes.naming",
    "unitok.data.shapes_tasks": "unitok.worlds.shapes.tasks",
    "unitok.data.sources": "unitok.data.source",
    "unitok.models.emu3": "unitok.models.image_tokenizer.emu3",
    "unitok.models.implicit": "unitok.models.image_tokenizer.lookup_free",
    "unitok.models.losses": "unitok.models.image_tokenizer.pixel_loss",
    "unitok.models.patch": "unitok.models.image_tokenizer.patch",
    "unitok.models.terms": "unitok.models.image_tokenizer.loss_terms",
    "unitok.models.vector": "unitok.models.image_tokenizer.vector_quantizers",
    "unitok.models.vit": "unitok.models.image_tokenizer.vit",
    "unitok.models.vqgan": "unitok.models.image_tokenizer.vqgan",
    "unitok.training.callbacks": "unitok.training.run.callbacks",
}
_OF_SOURCES = {
    "CaptionTable": "readers.tables",
    "ClassFolders": "readers.folders",
    "CocoCaptions": "readers.coco",
    "Idx": "readers.mnist_idx",
    "Llava": "readers.conversations",
    "Messages": "readers.conversations",
    "MetadataFolder": "readers.tables",
    "Mixture": "mixture",
    "Mmc4": "readers.interleaved",
    "Obelics": "readers.interleaved",
    "PictureFolder": "readers.folders",
    "PlainText": "readers.plain_text",
    "Streamed": "readers.hf_stream",
    "TextPairs": "readers.folders",
    "TextTable": "readers.tables",
    "WebDataset": "readers.webdataset",
}
"""Where the classes are that `unitok.data.sources` handed on."""
_CLASSES = {"HeldOut": "SplitOf", "Together": "Concat"}


def renamed(path: str) -> str | None:
    """Today's class path for one of an earlier version; None for any other text."""
    module, _, name = path.rpartition(".")
    new = _MODULES.get(module)
    if module == "unitok.data.sources" and name in _OF_SOURCES:
        new = f"unitok.data.{_OF_SOURCES[name]}"
    if new is None and (module or name not in _CLASSES):
        return None
    name = _CLASSES.get(name, name)
    return f"{new}.{name}" if new else name


def check_class_path(path: str, *, place: str = "") -> None:
    """Raises ValueError with today's class path if `path` is one of an earlier version."""
    if new := renamed(path):
        raise ValueError(f"{place}{path} is now {new}")


def check_class_paths(settings: object, *, place: str = "") -> None:
    """The same for every `class_path` in nested settings."""
    if isinstance(settings, dict):
        check_class_path(str(settings.get("class_path", "")), place=place)
        settings = list(settings.values())
    for value in settings if isinstance(settings, list) else ():
        check_class_paths(value, place=place)


_MOVED = {
    "model.optimizer": "lr muon_lr weight_decay betas clip warmup_steps schedule max_bad_batches",
    "model.loss": "z_loss head likelihood scale foreground_weight terms round_trip_weight",
    "model.start": "init_from new_head new_words freeze_steps code_scale decoder_alone",
    "model.compute": "attention compile recompute peak_tflops",
    "data.codec": "image_tokenizer text_tokenizer text_size image_shape locations positions modalities",
    "data.task": "condition_dropout unprompted",
    "data.transforms": "resize augment chat",
}
"""Groups of settings that were not in a group."""
SETTINGS = {
    f"{group.partition('.')[0]}.{name}": f"{group}.{name}"
    for group in _MOVED
    for name in _MOVED[group].split()
} | {
    "model.model": "model.sizes",
    "model.model.architecture": "model.architecture",
    "model.model.quantizer": "model.quantizer",
    "model.hide_text": "model.loss.token_dropout.text",
    "model.hide_image": "model.loss.token_dropout.image",
    "model.sizes.qk_norm": "model.sizes.variant.qk_norm",
    "model.lora_rank": "model.lora.rank",
    "model.lora_alpha": "model.lora.alpha",
}
"""Today's name of each setting of an earlier version, by that name."""
NAMES = ("model.optimizer", "data.task")
"""Groups that were single settings; their values are now the group's `name`."""


def renamed_setting(name: str, value: object = None) -> str | None:
    """Today's dotted name of a setting of an earlier version, or of one inside it; None for any other.

    Args:
        name: its dotted name.
        value: its value, which tells "muon", now the name in a group, from a file of the group.
    """
    if name in NAMES and str(value).isidentifier() and value is not None:
        return f"{name}.name"
    inner: list[str] = []
    while name:
        if name in SETTINGS:
            return ".".join([SETTINGS[name], *inner])
        name, _, last = name.rpartition(".")
        inner.insert(0, last)
    return None


def check_settings(settings: object, *, place: str = "") -> None:
    """Raises ValueError with today's names if nested settings have some of an earlier version."""
    found = dict(_renamed_settings(settings))
    if found:
        raise ValueError(place + "; ".join(f"{old} is now {new}" for old, new in found.items()))


def _renamed_settings(settings: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names of an earlier version in nested settings, with today's; the innermost where one is in another."""
    for key, value in settings.items() if isinstance(settings, dict) else ():
        name = f"{prefix}{key}".removeprefix("fit.")
        inner = dict(_renamed_settings(value, f"{name}."))
        if not inner and (name in SETTINGS or name in NAMES) and (new := renamed_setting(name, value)):
            inner = {name: new}
        yield from inner.items()
