"""What the pages for people say is so: every command parses, every link leads somewhere, the example runs."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import ROOT, check
from tests.tiny_model import tiny_model

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = {"cd", "curl", "git", "pip", "source", ".venv/bin/tensorboard", "tar", "python3"}
"""Programs that are not this project's."""


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """(page, line) of every command, continued lines joined and comments left out."""
    found = []
    for path in PAGES:
        for block in blocks(path, "bash"):
            lines = block.replace("\\\n", " ").splitlines()
            lines = [re.sub(r"\s+#.*$|^#.*$", "", line).strip() for line in lines]
            found += [(str(path.relative_to(ROOT)), line) for line in lines if line]
    return found


@pytest.mark.filterwarnings("ignore:.*args parameter is intended")
@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_exist(page, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    program = line.split()[0]
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(line.split()[1:]) <= set(targets)
    elif program.endswith("python") and line.split()[1] != "-m":
        check(line)
    else:
        assert program in OTHERS or program == ".venv/bin/python"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@pytest.mark.parametrize("block", blocks(ROOT / "README.md", "python"))
def test_the_examples_of_the_readme_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_model().save_pretrained(tmp_path / "runs/demo/model")
    Image.new("RGB", (12, 8)).save("photo.png")
    exec(compile(block, "README.md", "exec"), {})


def test_files_named_in_the_architecture_are_there():
    """Each line of its tree names a folder, files of it, or more files of the folder of the line before."""
    (tree,) = re.findall(
        r"## Where everything lives\n+```\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.S
    )
    missing, root, room = [], ROOT, ROOT
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        first, *names = re.findall(r"[\w-]+\.py|^ *[\w/-]+/", line) or [""]
        if first.endswith("/"):
            room = (ROOT if indent == 0 else root) / first.strip()
            root = room if indent == 0 else root
            missing += [] if room.is_dir() else [room]
        else:
            names, room = [first, *names], root if indent == 2 else room
        missing += [room / name for name in names if name and not (room / name).is_file()]
    assert not missing, [str(path.relative_to(ROOT)) for path in missing]


def test_every_module_is_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    modules = [path for path in (ROOT / "unitok").rglob("*.py") if path.name != "__init__.py"]
    assert [str(path.relative_to(ROOT)) for path in modules if path.name not in text] == []
