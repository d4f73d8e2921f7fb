"""The examples of docs/your-data.md are read as they stand there."""

import re
from pathlib import Path

import pytest

from tests.data.samples import all_told, write_pictures
from unitok.data.sources import FORMATS, open_data

PAGE = (Path(__file__).parents[3] / "docs/your-data.md").read_text()
EXAMPLES = re.findall(r"^```(json|csv)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_is_recognised_and_read(tmp_path, kind, example):
    write_pictures(tmp_path, "red")
    write_pictures(tmp_path / "deep", "blue")
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
