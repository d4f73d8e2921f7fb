"""The commands and the example of docs/serving.md run against a server."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
from PIL import Image

from tests.test_docs import ROOT, blocks
from tests.tiny_model import BRIEF, tiny_model

pytest.importorskip("openai", reason="openai is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
PAGE = ROOT / "docs/serving.md"
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server():
    with serving.running(tiny_model(sampling=BRIEF)) as server:
        yield server


@pytest.fixture(autouse=True)
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (12, 8), "red").save("photo.png")
    Image.new("L", (12, 8), 255).save("hole.png")


def curls() -> list[str]:
    text = "\n".join(blocks(PAGE, "bash")).replace("\\\n", " ")
    return re.findall(r"^curl .*$", text, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("line", curls())
def test_the_commands_run(server, line):
    done = subprocess.run(
        [*shlex.split(line.replace(ADDRESS, server.url)), "--fail-with-body", "--silent", "--show-error"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if "-N" in line:
        assert done.stdout.count("data: ") > 1 and '"error": {' not in done.stdout
    elif "metrics" not in line:
        assert not json.loads(done.stdout).get("error")


def test_the_example_runs(server, tmp_path, capsys):
    (block,) = blocks(PAGE, "python")
    exec(compile(block.replace(ADDRESS, server.url), "serving.md", "exec"), {})
    assert Image.open(tmp_path / "star-1.png").size == (12, 8)
    assert Image.open(tmp_path / "circle-1.png").size == (12, 8)
    printed = capsys.readouterr().out.splitlines()
    shown = re.findall(r"^print\(.*\n# (.*)$", block, re.MULTILINE)
    assert len(shown) == block.count("print(") == len(printed), "a print without what it prints"
    assert printed[1] == shown[1] == "data:image/png;base64,iVBORw0KGgoAAAANSU"
    assert printed[2] == "image_generation_call 12x8" and shown[2].startswith("image_generation_call ")


def test_the_table_lists_exactly_the_fields_of_the_schemas():
    from unitok.server import response_schemas, schemas

    rows = dict(re.findall(r"^\| `POST (/v1/[\w/]+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    responses = set(response_schemas.ResponseRequest.model_fields)
    common = set(schemas.ImageRequest.model_fields) - {"model"}
    expected = {
        "/v1/chat/completions": set(schemas.ChatRequest.model_fields) - {"stream_options"},
        "/v1/responses": responses,
        "/v1/images/generations": common | {"negative_prompt"},
        "/v1/images/edits": {"image", "image[]", "mask", "negative_prompt"},
    }
    documented = {path: set(re.findall(r"`([a-z_\[\]]+)`", fields)) for path, fields in rows.items()}
    documented["/v1/chat/completions"] -= {"image_url"}
    documented["/v1/images/generations"] -= {"b64_json"}
    assert documented == expected
