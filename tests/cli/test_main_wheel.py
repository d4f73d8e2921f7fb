"""The wheel alone: its commands run outside the repository, from its own files."""

import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from importlib.util import find_spec

import pytest

from tests.commands import ROOT
from tests.tiny_model import tiny_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("setuptools") is None, reason="setuptools is not installed"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Starts Python in an empty folder, with the wheel's files before every other package."""
    source, unpacked, elsewhere = map(tmp_path_factory.mktemp, ("source", "unpacked", "elsewhere"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("unitok", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(unpacked)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = unpacked.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(unpacked)

    def start(*arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=elsewhere, env=os.environ | {"PYTHONPATH": str(unpacked)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    start.place = unpacked
    return start


def test_the_package_and_its_configs_are_the_wheels(run):
    where = "import unitok; from unitok.cli.packaged_configs import folder; print(unitok.__file__, folder())"
    out, errors = run("-c", where).communicate(timeout=60)
    assert out.split() == [str(run.place / "unitok/__init__.py"), str(run.place / "unitok/configs")], errors


def test_a_first_image_needs_no_other_file(run):
    out, errors = run("-m", "unitok", "draw", "--prompt", "a large red star").communicate(timeout=300)
    assert "drawn/sheet.png" in out and errors.startswith("model: bundled with the package")
    assert (run.place / "unitok/api/bundled/model.safetensors").is_file()


@pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is not installed: make page installs it")
def test_the_page_is_served(run, tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    page = run("-m", "unitok", "page", "--model", str(tmp_path / "model"), "--device", "cpu", "--port", "0")
    try:
        line = page.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), page.communicate(timeout=60)[1]
        with urllib.request.urlopen(line.split()[0], timeout=60) as answer:
            assert "one model reads and writes them all" in answer.read().decode()
    finally:
        page.kill()
        page.communicate()
