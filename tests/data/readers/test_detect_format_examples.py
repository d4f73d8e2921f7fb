"""The examples of docs/your-data.md are read as they stand there."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.data.samples import all_told, told, write_images, write_lines
from unitok.chat_template import ChatTemplate
from unitok.data.readers.detect_format import FORMATS
from unitok.data.sources import open_data

PAGE = (Path(__file__).parents[3] / "docs/your-data.md").read_text()
EXAMPLES = re.findall(r"^```(json|csv)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_is_recognised_and_read(tmp_path, kind, example):
    write_images(tmp_path, "red")
    write_images(tmp_path / "deep", "blue")
    one_object = kind == "json" and "annotations" in example
    file = tmp_path / f"example.{'json' if one_object else 'jsonl' if kind == 'json' else kind}"
    file.write_text(example)
    source = open_data(file)
    said = {
        "coco": [["a red one", "<red>"]],
        "imagefolder": [["a red one", "<red>"]],
        "table": [["a red one", "<red>"], ['blue, "two" words', "<blue>"]],
        "obelics": [["one", "<red>", "two"]],
        "mmc4": [["One.", "<red>", "Two."]],
        "llava": [["~<red>", "~Which colour?", "Red."]],
        "messages": [["~Draw it.", "<red>"]],
        "texts": [["one document"]],
    }[source.format]
    assert all_told(source) == said[: len(source)] and not source.faults


def test_every_format_and_class_is_on_the_page():
    assert len(EXAMPLES) == 8
    for name, reader in FORMATS.items():
        assert f"`{name}`" in PAGE and f"`{reader.__name__}`" in PAGE


def test_the_template_on_the_page_makes_the_segments_on_the_page(tmp_path):
    write_images(tmp_path, "red")
    (block,) = re.findall(
        r"^```yaml\n(data:\n  transforms: \{chat: .*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    template = yaml.safe_load(block)["data"]["transforms"]["chat"]
    (segments,) = re.findall(r"^```text\n(.*\|.*)\n```$", PAGE, re.MULTILINE)
    example = next(json.loads(text) for _, text in EXAMPLES if "conversations" in text)
    source = open_data(write_lines(tmp_path / "llava.jsonl", [example])).with_chat(ChatTemplate(**template))
    *read, learned = [part.replace("(image)", "<red>") for part in segments.split(" | ")]
    assert told(source[0]) == [*(f"~{part}" for part in read), learned]
