"""What a model draws it can read: drawings go back in as PNG files, as a user would hand them in."""

import json
from pathlib import Path

import pytest
from PIL import Image

from sample.caption import main as caption
from sample.edit import main as edit
from sample.image import main as draw
from sample.rank import main as rank
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer
from unitok.api.unitok import UniTok
from unitok.worlds.shapes.scenes import ShapesSource

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype"),
]
CONFIGS = Path(__file__).parents[1] / "configs"
COUNT = 8
FEW = [f"--data.{split}.init_args.{name}={value}" for split in ("train", "val")
       for name, value in (("count", COUNT), ("kind", "one"), ("first_seed", 0))]  # fmt: skip
PROMPTS = [ShapesSource(canvas=48, kind="one", count=COUNT)[i][0].content for i in range(COUNT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a model that knows eight scenes by heart, and its drawings of them."""
    folder = tmp_path_factory.mktemp("circle")
    quiet = ["--threads=1", "--trainer.enable_progress_bar=false", "--trainer.val_check_interval=200",
             "--trainer.check_val_every_n_epoch=null"]  # fmt: skip
    sizes = [
        "--model.sizes.width=64",
        "--data.codec.image_tokenizer",
        str(folder / "tokenizer/image_tokenizer"),
    ]
    for train, config, more in (
        (train_tokenizer, "tokenizer", ["--trainer.max_steps=400"]),
        (train_transformer, "transformer", ["--trainer.max_steps=400", *sizes]),
    ):
        run = ["--trainer.default_root_dir", str(folder / config), *quiet, *FEW, *more]
        train(["fit", "--config", str(CONFIGS / config / "tiny.yaml"), *run])
    draw([*model_of(folder), "--prompt", *PROMPTS, "--temperature", "0", "--out", str(folder / "drawn")])
    return folder


def model_of(folder: Path) -> list[str]:
    return ["--model", str(folder / "transformer/model"), "--device", "cpu"]


def drawn(folder: Path) -> list[str]:
    """The files of the drawings, in the order of their prompts."""
    return sorted(str(file) for file in (folder / "drawn").glob("[0-9]*.png"))


def test_drawings_are_captioned_by_their_prompts(folder, capsys):
    caption([*model_of(folder), *drawn(folder)])
    said = [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert sum(a == b for a, b in zip(said, PROMPTS, strict=True)) >= COUNT - 1


def test_drawings_are_ranked_by_their_prompts(folder, capsys):
    best, texts = [], [word for text in PROMPTS for word in ("--text", text)]
    for file in drawn(folder):
        rank([*model_of(folder), file, *texts, "--json"])
        best.append(json.loads(capsys.readouterr().out)[0]["text"])
    assert sum(a == b for a, b in zip(best, PROMPTS, strict=True)) >= COUNT - 1


def test_what_an_edit_keeps_of_a_drawing_is_as_it_was(folder, tmp_path):
    mask = Image.new("L", (48, 48))
    mask.paste(255, (0, 0, 16, 16))
    mask.save(tmp_path / "mask.png")
    file = drawn(folder)[0]
    edit([*model_of(folder), "--image", file, "--mask", str(tmp_path / "mask.png"), "--prompt", PROMPTS[0],
          "--out", str(tmp_path / "edited")])  # fmt: skip
    (edited,) = (tmp_path / "edited").glob("[0-9]*.png")
    model = UniTok.from_pretrained(folder / "transformer/model", device="cpu")
    before, after = (model.encode_image(Image.open(path)) for path in (file, edited))
    assert (before == after)[2:].float().mean() > 0.9
