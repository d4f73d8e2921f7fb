"""The docs are true: every command parses, every link resolves, the example runs."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import CONFIGS, ROOT, check, header
from tests.tiny_model import tiny_model
from unitok.generation.sampling import Sampling

PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
OTHER_PROGRAMS = {"cd", "curl", "git", "pip", "source", ".venv/bin/tensorboard", "tar", "python3"}


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """(page, line) of every command, with continued lines joined and comments removed.

    Without those that head a config, which tests/test_configs.py checks.
    """
    pairs, checked = [], set(map(header, CONFIGS))
    for path in PAGES:
        for block in blocks(path, "bash"):
            lines = block.replace("\\\n", " ").splitlines()
            lines = [re.sub(r"\s+#.*$|^#.*$", "", line).strip() for line in lines]
            lines = [line for line in lines if line and line.removeprefix(".venv/bin/") not in checked]
            pairs += [(str(path.relative_to(ROOT)), line) for line in lines]
    return pairs


@pytest.mark.filterwarnings("ignore:.*args parameter is intended")
@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_exist(page, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    program = line.split()[0]
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(line.split()[1:]) <= set(targets)
    elif program.endswith("unitok") or (program.endswith("python") and line.split()[1] != "-m"):
        check(line)
    else:
        assert program in OTHER_PROGRAMS or program == ".venv/bin/python"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@pytest.mark.parametrize("block", blocks(ROOT / "README.md", "python"))
def test_the_examples_of_the_readme_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})


PYTHON = ROOT / "docs/python.md"
IDIOMS = re.findall(r"^\| `(.+?)` \| .+ \|$", PYTHON.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names that the first example of docs/python.md defines, with a tiny model in its place."""
    folder = tmp_path_factory.mktemp("python")
    brief = {"text": Sampling(temperature=0.0, max_new_tokens=8), "image": Sampling()}
    tiny_model(sampling=brief).save_pretrained(folder / "runs/demo/model")
    Image.new("RGB", (12, 8), "red").save(folder / "photo.png")
    Image.new("L", (12, 8), 255).save(folder / "hole.png")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(blocks(PYTHON, "python")[0], "python.md", "exec"), names)
        yield names


@pytest.mark.parametrize("idiom", IDIOMS)
def test_the_idioms_run(idiom, names):
    exec(compile(idiom, "python.md", "exec"), dict(names))


def test_the_idioms_are_those_of_both_libraries():
    assert len(IDIOMS) >= 25


MAPS = [ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "docs/design-decisions.md")]


@pytest.mark.parametrize("page", MAPS, ids=lambda path: path.name)
def test_files_and_folders_named_on_the_maps_are_there(page):
    """By their path in the repository or the package, or by their name anywhere."""
    places = re.findall(
        r"(?<![\w/.-])((?:[\w-]+/)*[\w-]+\.(?:py|md|tsv)|(?:[\w-]+/)+)(?![\w{])", page.read_text()
    )
    assert places
    missing = [
        place
        for place in places
        if not any((folder / place).exists() for folder in (ROOT, ROOT / "unitok", page.parent))
        and not list(ROOT.glob(f"unitok/**/{place}"))
        and not list(ROOT.glob(f"tests/**/{place}"))
    ]
    assert missing == []


def test_names_in_contributing_exist():
    """Every class, function and constant in backticks is defined somewhere in the package or its tests."""
    words = re.findall(r"`([A-Za-z_]+)(?:\(\w*\))?`", (ROOT / "CONTRIBUTING.md").read_text())
    code = "\n".join(path.read_text() for room in ("unitok", "tests") for path in (ROOT / room).rglob("*.py"))
    outside = {"image", "unitok", "make"}
    assert set(words) - outside <= set(re.findall(r"\w+", code))


def test_the_architecture_names_every_folder_and_is_short():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    folders = {path.parent.name for path in (ROOT / "unitok").rglob("__init__.py")} - {"unitok", "http"}
    assert {folder for folder in folders if f"{folder}/" not in text} == set()
    assert len(text.splitlines()) <= 160
    assert len((ROOT / "benchmarks/RESULTS.md").read_text().splitlines()) <= 250
