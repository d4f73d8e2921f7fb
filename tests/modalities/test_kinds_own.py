"""A modality of one's own: trained, saved, loaded, generated, served and shown, with no change elsewhere."""

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from sample.chat import arguments as chat_arguments
from tests.tiny_model import tiny_model
from train.encode import main as encode
from train.transformer import main as train
from unitok.api.unitok import UniTok
from unitok.atomic_files import write_text
from unitok.cli.terminal_chat import Chat
from unitok.data.codes.build_codec import build_codec
from unitok.data.codes.store import Store
from unitok.data.dataset_report import _measure, describe
from unitok.data.source import Source
from unitok.document import Segment
from unitok.interop.transformers_export import grammar_of
from unitok.modalities.base import Modality
from unitok.modalities.kinds import modality_kind

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
ROOT = Path(__file__).parents[2]
WORDS = ("slow", "calm", "brisk", "quick")


@dataclass(frozen=True)
class Beat:
    """A tempo by its number."""

    number: int


@modality_kind
class BeatModality(Modality):
    """A beat as `digits` binary digits; its folder holds the names of tempi."""

    name, size = "beat", 2

    def __init__(self, digits: int = 4, names: tuple[str, ...] = ("largo", "andante", "allegro", "presto")):
        self.digits, self.names = digits, names

    largest_shape = property(lambda self: (self.digits,))

    def shape_of(self, header):
        return (self.digits,)

    def encode(self, content: Beat):
        if not isinstance(content, Beat):
            raise ValueError(f"a beat segment must hold a Beat, got {content!r:.80}")
        return torch.tensor([content.number >> place & 1 for place in range(self.digits)]), (self.digits,)

    def decode(self, codes, shape):
        return Beat(sum(code << place for place, code in enumerate(codes.tolist())))

    def grid(self, shape):
        return torch.arange(shape[0])[:, None] * torch.tensor([1, 0, 0])

    def as_text(self, content: Beat) -> str:
        return f"♩ {self.names[content.number % len(self.names)]}"

    def preview_step(self, header):
        return 2

    def preview(self, codes, header):
        return self.decode(codes, (len(codes),))

    def settings(self):
        return {"digits": self.digits}

    def save(self, folder: Path) -> None:
        write_text(folder / "names.json", json.dumps(self.names))

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> "BeatModality":
        return cls(names=tuple(json.loads((folder / "names.json").read_text(encoding="utf-8"))), **settings)

    def fingerprint(self) -> str:
        return f"beat:{self.digits}"


class Beats(Source):
    """Words and their beats."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int):
        number = index % len(WORDS)
        return Segment("text", WORDS[number]), Segment("beat", Beat(number))


OWN = f"""
data:
  train: {{class_path: {__name__}.Beats, init_args: {{count: 64}}}}
  val: {{class_path: {__name__}.Beats, init_args: {{count: 4}}}}
  codec: {{modalities: [{{class_path: {__name__}.BeatModality}}]}}
"""
"""All that a run needs besides the settings of any other."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run on words and beats, by the command that trains any transformer."""
    folder = tmp_path_factory.mktemp("own")
    tiny_model().codec.image.save(folder)
    (folder / "own.yaml").write_text(OWN)
    train([
        "fit", "--config", str(ROOT / "configs/transformer/tiny.yaml"), "--config", str(folder / "own.yaml"),
        "--trainer.max_steps", "80", "--trainer.val_check_interval", "80", "--threads", "1",
        "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(folder),
        "--data.codec.image_tokenizer", str(folder / "image_tokenizer"),
    ])  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def model(run) -> UniTok:
    return UniTok.from_pretrained(run / "model", device="cpu", verify=True)


def test_it_is_learned_saved_and_loaded(run, model):
    config = json.loads((run / "model/config.json").read_text())
    assert config["modalities"] == {"beat": {"kind": "BeatModality", "digits": 4}}
    assert (run / "model/modalities/beat/names.json").is_file()
    assert config["vocabulary"][-1] == ["beat", 2], "its ids come after all others"
    prompts = [(Segment("text", word),) for word in WORDS]
    documents = model.generate(prompts, target="beat")
    assert [document[-1] for document in documents] == [Segment("beat", Beat(i)) for i in range(4)]
    (score,) = model.score([documents[0]])
    assert score.count == 4 and score.log_probability > -1
    updates = [(update.content, update.done) for update in model.stream(prompts[2], target="beat")]
    assert updates == [(Beat(2), False), (Beat(2), False), (Beat(2), True)]
    assert "| beat | 2 codes |" in (run / "model/README.md").read_text()


@pytest.mark.slow
def test_a_fresh_process_loads_it_once_its_module_is_imported(run):
    code = (
        "import sys; from unitok import UniTok; from unitok.cli.commands.chat import main\n"
        "folder, module = sys.argv[1:]\n"
        "try: UniTok.from_pretrained(folder, device='cpu')\n"
        "except ValueError as error: print(error)\n"
        "main(['--model', folder, '--device', 'cpu', '--import', module])"
    )
    command = [sys.executable, "-c", code, str(run / "model"), __name__]
    shared = {"capture_output": True, "text": True, "encoding": "utf-8", "cwd": ROOT, "check": True}
    error, *printed = subprocess.run(command, input="calm\n", **shared).stdout.splitlines()
    assert error.startswith(f"{run / 'model/config.json'}: beat: kind must be one of ")
    assert error.endswith(
        "got 'BeatModality': import the module that defines it first (a command does by --import MODULE)"
    )
    assert "♩ andante" in "".join(printed)


def test_a_module_that_cannot_be_imported_is_named(capsys):
    with pytest.raises(SystemExit):
        chat_arguments().parse_args(["--import", "no_such_module"])
    assert "argument --import: No module named 'no_such_module'" in capsys.readouterr().err


def test_it_is_served(model):
    pytest.importorskip("fastapi", reason="the server is not installed (extra serve)")
    from fastapi.testclient import TestClient

    from unitok.server.app import build

    body = {"model": "unitok", "messages": [{"role": "user", "content": "quick"}]}
    with TestClient(build(model)) as client:
        for modalities in (["beat"], ["text", "beat"]):
            answer = client.post("/v1/chat/completions", json={**body, "modalities": modalities})
            assert answer.json()["choices"][0]["message"]["content"] == "♩ presto", answer.text
        streamed = client.post("/v1/chat/completions", json={**body, "modalities": ["beat"], "stream": True})
        chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
        assert "♩ presto" in [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
        refused = client.post("/v1/chat/completions", json={**body, "modalities": ["beat", "smell"]})
        message = "modalities.1 must be 'text', 'image' or 'beat', got \"smell\""
        assert refused.json()["error"]["message"] == message


def test_it_is_shown_in_a_terminal_and_on_the_page(model):
    printed, prompt = io.StringIO(), (Segment("text", "calm"),)
    Chat(model, console=Console(file=printed)).execute("calm")
    assert printed.getvalue() == "♩ andante\n"
    pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")
    from unitok.page import examples
    from unitok.page.tabs import chat, describe

    messages, _, past, _ = list(chat.Chat(model).send({"text": "calm", "files": []}, chat.Conversation()))[-1]
    assert messages[1:] == [{"role": "assistant", "content": "♩ andante"}]
    assert past.document[-1] == Segment("beat", Beat(1))
    # it never learned of images, so what it would answer about one by itself is chance
    asked = describe.Describe(model)._stream(examples.scenes(model)[0], prompt, target="beat")
    _, text, _ = list(asked)[-1]
    assert text.splitlines()[-1].startswith("♩ ")


def test_a_data_report_counts_it():
    assert describe([_measure(Beats(4)[0], show=False)])["documents"] == {"1 texts, 0 pictures, 1 beat": 1}


def test_an_export_describes_its_grammar_or_says_that_it_cannot():
    class Header(BeatModality):
        """A beat with a header of one code."""

        header_length = 1

        def header_codes(self):
            return range(1)

    codec = tiny_model(more=[BeatModality()]).codec
    assert grammar_of(codec)["modalities"]["beat"]["shape"] == [4]
    with pytest.raises(ValueError, match="beat: its grid or header must be like that of an image or a box"):
        grammar_of(tiny_model(more=[Header()]).codec)


def test_a_store_holds_it_with_its_fingerprint(run, tmp_path):
    settings = {
        "source": {"class_path": f"{__name__}.Beats", "init_args": {"count": 8}},
        "modalities": [{"class_path": f"{__name__}.BeatModality", "init_args": {"digits": 3}}],
        "image_tokenizer": str(run / "image_tokenizer"),
        "text_tokenizer": str(run / "tokenizer.json"),
        "out": str(tmp_path / "codes"),
    }
    (tmp_path / "encode.yaml").write_text(yaml.safe_dump(settings))
    encode(["--config", str(tmp_path / "encode.yaml"), "--quiet"])
    assert json.loads((tmp_path / "codes/index.json").read_text())["modalities"]["beat"] == "beat:3"
    tokenizers = run / "image_tokenizer", run / "tokenizer.json"
    store = Store(tmp_path / "codes", codec := build_codec(*tokenizers, modalities=[BeatModality(3)]))
    assert codec.decode(store[5])[1].content == Beat(1)
    with pytest.raises(ValueError, match=r"another beat tokenizer: its fingerprint is beat:3"):
        Store(tmp_path / "codes", build_codec(*tokenizers, modalities=[BeatModality(4)]))
