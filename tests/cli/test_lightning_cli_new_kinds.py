"""A quantizer, a reader and a suite outside the package, each of one file, work through the real commands."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from tests.commands import ROOT
from tests.tiny_model import tiny_model
from unitok.cli.commands import evaluate, train_tokenizer
from unitok.data.source import Reader
from unitok.document import Segment
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.quantizer import Quantized, Quantizer, QuantizerConfig


@dataclass(frozen=True)
class Sign(QuantizerConfig):
    """The sign of one channel."""

    def build(self) -> Quantizer:
        return SignQuantizer()


class SignQuantizer(Quantizer):
    dim, size = 1, 2

    def quantize(self, latents):
        codes = (latents[:, 0] > 0).long()
        return Quantized(latents + (self.vectors(codes) - latents).detach(), codes, latents.new_zeros(()))

    def vectors(self, codes):
        return (2.0 * codes - 1)[:, None]


class Colours(Reader):
    """A document for each line of a file: a caption, such as "red", and an image of this colour."""

    format = "colours"

    def __init__(self, path: str):
        self.lines = Path(path).read_text(encoding="utf-8").split()

    @classmethod
    def fits(cls, look) -> bool:
        return look.path.suffix == ".colours"

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index):
        caption = self.lines[index]
        return Segment("text", caption), Segment("image", Image.new("RGB", (16, 16), caption))


@pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
def test_a_quantizer_and_a_reader_are_one_line_of_yaml_each(tmp_path):
    (tmp_path / "set.colours").write_text("red\ngreen\nblue\n" * 4)
    source = {"class_path": f"{__name__}.Colours", "init_args": {"path": str(tmp_path / "set.colours")}}
    values = yaml.safe_load((ROOT / "configs/tokenizer/tiny.yaml").read_text(encoding="utf-8"))
    values["model"]["quantizer"] = {"class_path": f"{__name__}.Sign"}
    values["data"] = {"size": [16, 16], "batch_size": 4, "train": source, "val": source}
    values["trainer"] |= {"default_root_dir": str(tmp_path / "run"), "max_steps": 2, "callbacks": []}
    values["trainer"] |= {"val_check_interval": 2, "enable_progress_bar": False}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    train_tokenizer.main(["fit", "--config", str(tmp_path / "run.yaml"), "--threads", "1"])
    tokenizer = ImageTokenizer.from_pretrained(tmp_path / "run/image_tokenizer")
    assert tokenizer.config.quantizer == Sign() and tokenizer.codebook_size == 2
    codes = tokenizer.encode(torch.rand(2, 3, 16, 24) * 2 - 1).codes
    assert codes.shape == (2, 2, 3) and tokenizer.decode(codes).shape == (2, 3, 16, 24)


def test_the_suite_of_the_docs_is_one_import(tmp_path, capsys):
    page = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    exec(compile(block, "evaluation.md", "exec"), {"__name__": "answers_yes"})
    tiny_model(shape=(12, 12), max_length=300).save_pretrained(tmp_path / "m")
    evaluate.main(f"--model {tmp_path}/m --suite says_yes --count 3 --out {tmp_path}/out".split())
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report.keys() == {"says_yes"} and 0 <= report["says_yes"] <= 1
    capsys.readouterr()
    with pytest.raises(SystemExit):
        evaluate.main(["--help"])
    assert "\n  says_yes       Share of yes among the answers" in capsys.readouterr().out
