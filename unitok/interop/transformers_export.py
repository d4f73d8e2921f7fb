"""Exports a trained model as a folder for transformers, vLLM and others. Knows no training."""

import json
from math import prod
from pathlib import Path
from typing import Any

from unitok.api.unitok import UniTok
from unitok.atomic_files import atomic_folder, finish_folder, refuse_occupied, write_bytes, write_text
from unitok.interop.language.families import config_of
from unitok.interop.language.weights import to_transformers
from unitok.interop.llava_export import to_llava
from unitok.interop.processor_files import write_processor
from unitok.modalities.base import Modality
from unitok.models.transformer_config import OWN_SIGHT, BlockVariant
from unitok.models.weights import write_weights
from unitok.tokens.codec import Codec
from unitok.tokens.vision_layout import VISION

PROCESSOR = "grammar_processor.py"


def export(model: UniTok, folder: str | Path) -> None:
    """Write weights, configuration, the text tokenizer, grammar.json and a LogitsProcessor for it.

    A model that sees becomes a LLaVA, with the files of its processor.

    Raises:
        ValueError: positions are a grid, text attends only to the most recent image, or the blocks see images
            in a way of their own, which no other engine supports; images are seen in another way than
            LLaVA's; or the grammar of a modality cannot be described.
        FileExistsError: the folder is not empty, or is a file.
    """
    codec, folder = model.codec, Path(folder)
    if codec.positions != "sequential":
        raise ValueError(
            "data.codec.positions must be sequential for an export, got a model with "
            f"{codec.positions} positions (time, row, column), which no other engine supports"
        )
    if model.model.sizes.latest_image:
        raise ValueError(
            "latest_image must be False for an export, got a model whose text attends only to the most "
            "recent image, which no other engine supports"
        )
    for name in OWN_SIGHT:
        default, value = (getattr(one, name) for one in (BlockVariant(), model.model.sizes.variant))
        if value != default:
            raise ValueError(
                f"{name} must be {default} for an export, got {value}, which no other engine supports"
            )
    refuse_full(folder)
    vocabulary, config = codec.vocabulary, model.model.config
    ids = {
        "bos_token_id": vocabulary.document_begin,
        "eos_token_id": vocabulary.document_end,
        "pad_token_id": vocabulary.pad,
    }
    seen = None if codec.vision is None else to_llava(model, **ids)
    dtype = str(model.model.norm.weight.dtype).removeprefix("torch.")
    with atomic_folder(folder, durable=True) as beside:
        codec.modalities["text"].save(beside)
        if seen is None:
            written = config_of(config, **ids)
            tensors = to_transformers(model.model.state_dict(), config.sizes)
        else:
            written, tensors = seen.config, seen.tensors
            write_processor(beside, codec, model.chat, pixels=seen.pixels, **seen.places)
        write_weights(beside / "model.safetensors", tensors)
        _write(beside / "config.json", written | {"dtype": dtype})
        _write(beside / "generation_config.json", ids)
        _write(beside / "grammar.json", grammar_of(codec))
        write_bytes(beside / PROCESSOR, Path(__file__).with_name(PROCESSOR).read_bytes())


def refuse_full(folder: str | Path) -> None:
    """Raise FileExistsError if the folder is not empty, or is a file."""
    finish_folder(folder)
    refuse_occupied(folder, ours=False, what="empty")


def grammar_of(codec: Codec) -> dict[str, Any]:
    """Describe the Cursor's grammar by ids; ranges are [start, stop)."""
    vocabulary = codec.vocabulary
    return {
        "pad": vocabulary.pad,
        "document_begin": vocabulary.document_begin,
        "document_end": vocabulary.document_end,
        "modalities": {name: _modality(codec, name) for name in codec.modalities} | _shown(codec),
    }


def _shown(codec: Codec) -> dict[str, Any]:
    """Vectors of images, which are read and never written."""
    if codec.vision is None:
        return {}
    vocabulary = codec.vocabulary
    place = vocabulary.vectors(1)
    ids = {"begin": vocabulary.begin(VISION), "end": vocabulary.end(VISION)}
    return {VISION: ids | {"open_ended": True, "codes": [place.start, place.stop], "written": False}}


def _modality(codec: Codec, name: str) -> dict[str, Any]:
    modality, vocabulary = codec.modalities[name], codec.vocabulary
    if not (modality.open_ended or _fills_a_grid(modality)):
        raise ValueError(f"{name}: its grid or header must be like that of an image or a box for an export")

    def ids(codes: range) -> list[int]:
        id_range = vocabulary.to_range(name, codes)
        return [id_range.start, id_range.stop]

    return {
        "begin": vocabulary.begin(name),
        "end": vocabulary.end(name),
        "open_ended": modality.open_ended,
        "codes": ids(range(modality.size)),
        "cell_ranges": [ids(codes) for codes in modality.cell_ranges],
        "header": ids(modality.header_codes()) if modality.header_length else [],
        "shape": None if modality.open_ended or modality.header_length else list(modality.largest_shape),
    }


def _fills_a_grid(modality: Modality) -> bool:
    """Whether a segment has as many codes as its shape has cells, and a header, if any, of two sides."""
    shape, first = modality.largest_shape, modality.header_codes().start
    sides = modality.header_length == 0 or tuple(modality.shape_of([first] * modality.header_length)) == (
        1,
        1,
    )
    return sides and len(modality.grid(shape)) == prod(shape) * len(modality.cell_ranges)


def _write(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")
