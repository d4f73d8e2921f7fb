"""`unitok info`: the contents of a model folder, read from its files. Loads no weights."""

from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from unitok.api.hub import model_folder_of
from unitok.api.learned_tasks import tasks_from_json
from unitok.console import MODEL_HELP, Parser, command, default_model, printable
from unitok.json_files import read_object
from unitok.models.vision.sight import describe_sight


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(prog="unitok info", description="Print the sizes, ids and figures of a model folder.")
    parser.add_argument("model", nargs="?", default=default_model(), metavar="DIR", help=MODEL_HELP)
    return parser


@command("unitok info")
def main(args: list[str] | None = None) -> None:
    """Print one line per fact, then the figures of the model card."""
    folder = model_folder_of(arguments().parse_args(args).model)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: not a model folder (config.json is missing)")
    facts = _facts(folder)
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        print(printable(f"{name:<{width}}{value}"))
    for line in _measured(folder / "README.md"):
        print(printable(line))


def _facts(folder: Path) -> dict[str, str]:
    config = read_object(folder / "config.json")
    try:
        return dict(_of_config(config, folder))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{folder / 'config.json'}: not the config of a unitok model ({error!r})") from error


def _of_config(config: dict[str, Any], folder: Path):
    sizes, image = config["transformer"], config["image"]
    tokenizer = read_object(folder / "image_tokenizer/config.json")
    yield (
        "transformer",
        (
            f"{_parameters(folder / 'model.safetensors'):,} parameters: {sizes['layers']} layers of width "
            f"{sizes['width']}, {sizes['heads']} heads"
        ),
    )
    ids = ", ".join(f"{size} of {name}" for name, size in config["vocabulary"] if size)
    yield "vocabulary", f"{sizes['vocab_size']} ids: {ids}"
    yield "longest document", f"{sizes['max_length']} ids, {config['positions']} positions"
    shape = image["shape"]
    cells = f"{shape[0]} x {shape[1]} codes" if shape else f"any size up to {image['max_side']} codes a side"
    architecture, quantizer = tokenizer["architecture"]["kind"], tokenizer["quantizer"]["kind"]
    weights = _parameters(folder / "image_tokenizer/model.safetensors")
    yield "images", f"{cells}, {architecture} of {weights:,} parameters, {quantizer}"
    yield from describe_sight(sizes, config.get("vision"))
    if config.get("fills"):
        yield "inpainting", "learned"
    for name, settings in config.get("sampling", {}).items():
        values = {key: value for key, value in settings.items() if value is not None}
        yield f"sampling {name}", ", ".join(f"{key} {value}" for key, value in values.items())
    if config.get("example_prompts"):
        yield "example prompts", "; ".join(config["example_prompts"])
    if config.get("tasks") is None:
        yield "tasks", "not recorded"
    for task in tasks_from_json(config.get("tasks") or []):
        words = "; ".join(example.text for example in task.examples)
        yield f"learned {task.name}", " | ".join(filter(None, (words, *(f.text for f in task.figures))))


def _parameters(path: Path) -> int:
    """The number of parameters in a safetensors file, from its header."""
    try:
        with safe_open(path, "numpy") as file:
            return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: corrupt or not safetensors ({error})") from error


def _measured(card: Path) -> list[str]:
    """The section of measured figures in a model card, as plain lines."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    lines = text.partition("\n## Measured\n")[2].partition("\n## ")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    paragraphs = [line for line in lines if line and not line.startswith("|")]
    width = max((len(row[0]) for row in rows), default=0) + 2
    return ["", *paragraphs, *(f"{row[0]:<{width}}{row[-1]}" for row in rows)] if rows else []
