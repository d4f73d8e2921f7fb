"""Class paths of earlier versions, and the error that names today's. Imports nothing."""

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
