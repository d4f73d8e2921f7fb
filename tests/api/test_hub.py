"""Models of the Hub, served by a local server of this test: JSON and safetensors alone."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.tiny_model import tiny_model
from unitok.api.hub import model_folder_of
from unitok.api.unitok import UniTok

constants = pytest.importorskip(
    "huggingface_hub.constants", reason="huggingface_hub is not installed (extra hub)"
)
COMMIT, NAME = "a" * 40, "someone/tiny"


class Repository(BaseHTTPRequestHandler):
    """The part of the Hub's protocol that a download takes."""

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.paths.append(self.path)
        content = self._content()
        self.send_response(404 if content is None else 200)
        content = content or b""
        for name, value in (
            ("Content-Length", len(content)), ("ETag", f'"{hash(content)}"'), ("X-Repo-Commit", COMMIT),
        ):  # fmt: skip
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _content(self) -> bytes | None:
        files = {path.relative_to(self.server.folder).as_posix(): path for path in self._paths()}
        if self.path.startswith(f"/api/models/{NAME}"):
            if "/tree/" in self.path:
                entries = [
                    {"type": "file", "path": name, "size": path.stat().st_size, "oid": "0" * 40}
                    for name, path in files.items()
                ]
                return json.dumps(entries).encode()
            siblings = [{"rfilename": name} for name in files]
            return json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode()
        name = self.path.split(f"/resolve/{COMMIT}/")[-1]
        return files[name].read_bytes() if name in files else None

    def _paths(self):
        return [path for path in self.server.folder.rglob("*") if path.is_file()]

    def log_message(self, *_) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A Hub with one model, whose folder also has a pickle and code."""
    tiny_model().save_pretrained(tmp_path / "served")
    (tmp_path / "served/evil.py").write_text("raise SystemExit")
    (tmp_path / "served/pytorch_model.bin").write_bytes(b"a pickle")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    server.folder, server.paths = tmp_path / "served", []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    host = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", host)
    template = f"{host}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.chdir(tmp_path)
    yield server
    server.shutdown()
    server.server_close()


def test_a_model_of_the_hub_is_that_of_its_folder(server, tmp_path):
    model = UniTok.from_pretrained(NAME, cache_dir=tmp_path / "cache", token=False)
    assert model.draw("a", seed=4)[0].tobytes() == tiny_model().draw("a", seed=4)[0].tobytes()
    names = {path.name for path in (tmp_path / "cache").rglob("*")}
    assert "model.safetensors" in names and not names & {"evil.py", "pytorch_model.bin", "README.md"}
    before = len(server.paths)
    folder = model_folder_of(NAME, cache_dir=tmp_path / "cache", local_files_only=True)
    assert (folder / "config.json").is_file() and len(server.paths) == before


def test_a_model_that_is_not_on_the_hub_is_one_line(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^someone/other: not a model folder, and not on ") as e:
        UniTok.from_pretrained("someone/other", cache_dir=tmp_path / "cache", token=False)
    assert "\n" not in str(e.value)


def test_folders_are_never_looked_up(server, tmp_path):
    (tmp_path / "runs").mkdir()
    for name in ("runs/typo", "runs/demo/model", "model", "/absent/model", tmp_path / "m"):
        with pytest.raises(FileNotFoundError, match="not a model folder"):
            UniTok.from_pretrained(name)
    assert server.paths == []


def test_without_the_library_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match=r"someone/tiny: not a model folder; .*\.\[hub\]"):
        model_folder_of(NAME)


def test_an_unknown_option_is_refused_with_what_to_use():
    with pytest.raises(ValueError, match="load_in_4bit has no counterpart here: weights are not quantised"):
        UniTok.from_pretrained("runs/demo/model", load_in_4bit=True)
    with pytest.raises(ValueError, match="unknown setting revison; known: device, dtype, verify"):
        UniTok.from_pretrained("runs/demo/model", revison="main")
