"""What users keep must not change without a word: ids, fingerprints, stores, batches, worlds and files.

Golden files under tests/golden hold what was computed before; `python -m tests.test_golden` writes them anew,
which is right only where a change is meant and CHANGELOG.md says it.
"""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from safetensors import safe_open

from tests.tiny_codecs import byte_text
from tests.tiny_model import tiny_model
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.codes.build_codec import train_text_tokenizer
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData
from unitok.data.image_data import ImageData
from unitok.data.keyed_random import permutation, uniform
from unitok.document import Codes, Segment
from unitok.generation.sampling import gumbel
from unitok.modalities.geometry import Box, Point
from unitok.modalities.image import ImageModality
from unitok.modalities.location_bins import LOCATIONS
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.tokens.codec import Codec
from unitok.training.class_paths import SOURCES, import_classes

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent / "golden"
TRANSFORMERS = ["demo", "tiny", "boxes", "naming", "shapes_tasks", "shapes_fills"]
TOKENIZERS = ["demo", "tiny", "mnist", "emoji", "caltech101", "photos", "vqgan", "easy_vqa"]
FEW = 24
"""Documents of each source, in place of a config's thousands."""


def config(kind: str, name: str) -> dict[str, Any]:
    path = f"configs/demo/{kind}.yaml" if name == "demo" else f"configs/{kind}/{name}.yaml"
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def digest(*arrays: Any) -> str:
    """sha256 of arrays with their kinds and shapes, its first 16 digits."""
    found = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        found.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def with_known_weights(module: torch.nn.Module) -> torch.nn.Module:
    """Weights that every machine computes alike; a generator's normal numbers depend on the CPU."""
    for name, tensor in sorted(module.state_dict().items()):
        if tensor.is_floating_point():
            first = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
            values = (np.arange(tensor.numel()) * 2654435761 + first) % 1009
            tensor.copy_(torch.from_numpy(values / 1009 - 0.5).view(tensor.shape))
    return module


def image_tokenizer(name: str) -> ImageTokenizer:
    """The tokenizer of a config, with known weights."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--model", type=ImageTokenizerConfig)
    settings = config("tokenizer", name)["model"]
    sizes = {part: settings[part] for part in ("architecture", "quantizer")}
    sizes = parser.instantiate(parser.parse_object({"model": sizes}))
    return with_known_weights(ImageTokenizer(sizes.model)).eval()


def data_of(kind: type, values: dict[str, Any]) -> Any:
    """A data module of a config's values."""
    import_classes(*SOURCES)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "data")
    values = {"val": values["train"]} | values
    return parser.instantiate(parser.parse_object({"data": values})).data


def few(values: Any) -> Any:
    """The same settings with few documents a source."""
    if isinstance(values, dict):
        return {key: FEW if key == "count" else few(value) for key, value in values.items()}
    return [few(value) for value in values] if isinstance(values, list) else values


def fingerprints() -> dict[str, Any]:
    """Of every shipped tokenizer: with and without its decoder, and its settings as a folder keeps them."""
    found = {}
    for name in TOKENIZERS:
        tokenizer = image_tokenizer(name)
        found[name] = {
            "all": tokenizer.fingerprint(),
            "without decoder": tokenizer.fingerprint(decoder=False),
            "config": tokenizer.config.to_json(),
        }
    return found


def codec_of_all() -> Codec:
    """Bytes, images of any size up to 5 x 5 cells of 64 codes, boxes and points."""
    image = ImageModality(image_tokenizer("tiny"), shape=None, max_side=5)
    return Codec([byte_text(), image, *(LOCATIONS[name]() for name in sorted(LOCATIONS))])


def vocabularies() -> dict[str, Any]:
    """Where each modality's ids begin and end, and the fingerprints of vocabulary and codec."""
    codec = codec_of_all()
    words = codec.vocabulary
    return {
        "ids": {name: [words.ids(name).start, words.ids(name).stop] for name in words.modalities},
        "ends": {name: words.end(name) for name in words.modalities},
        "begins": {name: words.begin(name) for name in words.modalities if name != "text"},
        "control": [words.pad, words.document_begin, words.document_end],
        "size": words.size,
        "vocabulary": words.fingerprint(),
        "codec": codec.fingerprint(),
        "modalities": {name: kind.fingerprint() for name, kind in codec.modalities.items()},
    }


def ids() -> dict[str, Any]:
    """Documents of all modalities as ids, positions and what is learned."""
    found = {}
    for positions in ("grid", "sequential"):
        codec = Codec(list(codec_of_all().modalities.values()), positions=positions)
        documents = [
            [Codes("text", torch.tensor([104, 105]), (2,)), Codes("image", torch.arange(6), (2, 3))],
            [
                Codes("image", torch.arange(8) * 8, (4, 2)),
                Codes("text", torch.tensor([7]), (1,), learn=False),
            ],
            [
                *codec.encode((Segment("box", Box(0.1, 0.2, 0.5, 0.75)), Segment("point", Point(0.3, 0.9)))),
                *codec.encode((Segment("text", "é 🙂"),)),
            ],
            [],
        ]
        tokens = [codec.join(document) for document in documents]
        found[positions] = [
            {"ids": t.ids.tolist(), "positions": t.positions.tolist(), "learn": t.learn.int().tolist()}
            for t in tokens
        ]
    return found


def draws() -> dict[str, Any]:
    """Random numbers by place, and the noise of sampling."""
    noise = gumbel(torch.tensor([5, -7]), torch.tensor([0, 3]), torch.tensor([1, 300, 4000]))
    return {
        "uniform": [uniform(7, epoch, index, "task") for epoch in (0, 3) for index in (0, 5)],
        "permutation": permutation(9, seed=3, epoch=1).tolist(),
        "gumbel": [[round(value, 5) for value in row] for row in noise.tolist()],
    }


def documents(source: Any) -> list[Any]:
    """Texts as they are, images and places as digests."""
    return [[_shown(segment) for segment in source[index]] for index in range(min(3, len(source)))]


def _shown(segment: Segment) -> Any:
    content = segment.content
    if segment.modality == "image":
        return f"{content.size[0]} x {content.size[1]} {digest(np.asarray(content))}"
    return [segment.modality, str(content), segment.learn]


def worlds() -> dict[str, Any]:
    """The first documents of the sources of every config that needs no file."""
    found = {}
    for name in TRANSFORMERS:
        data = data_of(DocumentData, few(config("transformer", name)["data"]) | {"train": _train(name)})
        found[name] = documents(data.train)
        for number, source in enumerate(getattr(data.train, "sources", ())):
            found[f"{name} {number}"] = documents(source)
    return found


def _train(name: str) -> dict[str, Any]:
    """The settings of a config's training source; those of the demo are what its store is made of."""
    if name == "demo":
        return few(config("tokenizer", "demo")["data"]["train"])
    return few(config("transformer", name)["data"]["train"])


def batches() -> dict[str, Any]:
    """The first two batches of each config's training, and of the tokenizers'."""
    found = {}
    for name in TRANSFORMERS:
        with TemporaryDirectory() as folder:
            data = _data(name, Path(folder))
            data.setup("fit")
            packed = data._packed["train"]
            windows = [DocumentBatch(0, [0, 1, 2, 3, 4]), DocumentBatch(1, [9, 5, 7, 11])]
            found[name] = [_batch(packed[window]) for window in windows]
    return found


def _batch(batch: Any) -> dict[str, Any]:
    named = {name: np.asarray(value) for name, value in batch._asdict().items() if value is not None}
    return {"first row": named["ids"][0].tolist()} | {name: digest(value) for name, value in named.items()}


def _data(name: str, folder: Path) -> DocumentData:
    """A config's documents, encoded by a tokenizer of known weights."""
    values = few(config("transformer", name)["data"])
    values["train"] = _train(name)
    data = data_of(DocumentData, values)
    image_tokenizer("tiny").save_pretrained(folder / "image_tokenizer")
    train_text_tokenizer(data.train, folder / "tokenizer.json", size=300)
    settings = replace(
        data.codec_config,
        image_tokenizer=str(folder / "image_tokenizer"),
        image_shape=data.codec_config.image_shape or (6, 6),
    )
    data.codec = settings.build(folder / "tokenizer.json")
    return data


def tokenizer_batches() -> dict[str, str]:
    """The first batch of pixels of the tokenizers that learn from rendered scenes."""
    found = {}
    for name in ("demo", "tiny"):
        data = data_of(ImageData, few(config("tokenizer", name)["data"]))
        data.setup("fit")
        batch = next(iter(data.val_dataloader()))
        found[name] = digest((torch.as_tensor(batch).numpy() * 255).round().astype(np.int16))
    return found


def stores() -> dict[str, Any]:
    """The files of a store of the demo's documents, and of one with boxes: bytes as digests."""
    found = {}
    for name in ("demo", "shapes_tasks"):
        with TemporaryDirectory() as folder:
            data = _data(name, Path(folder))
            out = Path(folder) / "codes"
            write_store(out, data.train, data.codec, shard_size=20, progress=False)
            found[name] = {path.name: _sha256(path) for path in sorted(out.iterdir())}
            found[f"{name}: index"] = json.loads((out / "index.json").read_text(encoding="utf-8"))
    return found


def _sha256(path: Path) -> str:
    """Of a file's bytes; of safetensors, whose header has no fixed order, of what is in it."""
    if path.suffix != ".safetensors":
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    with safe_open(path, framework="numpy") as file:
        names = sorted(file.keys())
        metadata = json.dumps([names, file.metadata()], sort_keys=True)
        return digest(np.frombuffer(metadata.encode(), np.uint8), *map(file.get_tensor, names))


def model_folder() -> dict[str, Any]:
    """The settings in a model's folder, and the names of its files."""
    with TemporaryDirectory() as folder:
        tiny_model(more=[LOCATIONS[name]() for name in sorted(LOCATIONS)]).save_pretrained(f"{folder}/model")
        files = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())
        values = json.loads(Path(folder, "model/config.json").read_text(encoding="utf-8"))
        return {"files": files, "config": _without_weights(values)}


def _without_weights(values: Any) -> Any:
    """Without what random weights change."""
    if isinstance(values, dict):
        return {key: _without_weights(value) for key, value in values.items() if "fingerprint" not in key}
    return values


ALL = (fingerprints, vocabularies, ids, draws, worlds, batches, tokenizer_batches, stores, model_folder)
KINDS = {kind.__name__: kind for kind in ALL}


@pytest.mark.parametrize("name", KINDS)
def test_what_users_keep_is_as_it_was(name):
    golden = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(KINDS[name]())) == golden


def write() -> None:
    for name, kind in KINDS.items():
        text = json.dumps(kind(), indent=1, ensure_ascii=False) + "\n"
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}.json: {len(text):,} characters", file=sys.stderr)


if __name__ == "__main__":
    write()
