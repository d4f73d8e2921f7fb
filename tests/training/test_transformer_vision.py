"""Models that see are trained, resumed to the bit, and exported; a stage trains the parts that it names."""

import json

import pytest
import torch

from tests.data.samples import write_lines
from tests.generation.test_likelihood import make_image
from tests.training.conftest import CONFIG
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.training.run.checkpoint import PREVIOUS

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
LATENTS = "{encoder: {class_path: Latents}, bridge: {class_path: Projector, init_args: {hidden: 32}}}"
VIT = (
    "{precompute: false, bridge: {class_path: Projector}, encoder: {class_path: Network, init_args: "
    "{channels: 8, architecture: {class_path: ViT, init_args: {width: 8, depth: 1, heads: 2, hidden: 16}}}}}"
)
TILES = LATENTS.replace("{encoder", "{tiles: 2, encoder")
QUERIES = (
    "{tiles: 2, encoder: {class_path: Latents, init_args: {size: [24, 48]}}, bridge: {class_path: QFormer, "
    "init_args: {queries: 4, width: 16, layers: 2, heads: 2, hidden: 16}}}"
)
CAPTIONS = ("--data.task.name", "caption", "--data.task.unprompted", "[image]")
STEADY = ("--model.optimizer.schedule", "constant")


def seeing(vision: str = LATENTS) -> tuple[str, str]:
    return "--data.codec.vision", vision


@pytest.fixture
def words(train, tmp_path) -> str:
    """The folder of a model of texts alone."""
    write_lines(tmp_path / "words.jsonl", [{"text": f"a small red circle {n % 7}"} for n in range(60)])
    data = ("--data.train", "null", "--data.val", "null", "--data.path", str(tmp_path / "words.jsonl"))
    train("words", *data, steps=4)
    return str(tmp_path / "words/model")


def test_a_run_learns_and_ends_in_a_folder_that_sees_and_draws(train, tmp_path):
    samples = "[{class_path: unitok.training.samples.Samples, init_args: {count: 2}}]"
    often = ("--trainer.callbacks", samples, "--trainer.val_check_interval", "20")
    cli, rows = train("run", *seeing(), *often, steps=20)
    assert rows[-1][0] < rows[0][0] - 0.3
    trained, model = cli.model.model_with_codec(), UniTok.from_pretrained(tmp_path / "run/model")
    images = [make_image(1), make_image(2)]
    assert model.caption(images) == trained.caption(images)
    assert model.draw("a small red circle")[0].size == (48, 48)
    assert "vision" in json.loads((tmp_path / "run/model/config.json").read_text())
    assert {"drawn.png", "captioned.png"} <= {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize(
    "vision",
    [
        pytest.param(LATENTS, id="latents"),
        pytest.param(VIT, id="network", marks=pytest.mark.slow),
        pytest.param(QUERIES, id="queries", marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_has_the_losses_of_one_never_stopped(train, tmp_path, vision):
    more = (*seeing(vision), *STEADY, "--data.batch_size", "80", "--model.optimizer.bridge_lr", "0.01")
    whole, rows = train("whole", *more)
    parts, rest = train("parts", *more, "--ckpt_path", str(tmp_path / "whole" / PREVIOUS))
    assert rest == rows[3:]
    for a, b in zip(whole.model.model.parameters(), parts.model.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_alignment_changes_the_bridge_and_new_rows_alone_and_no_word(train, words, tmp_path):
    start = ("--model.start.init_from", words, "--data.codec.image_tokenizer", "null", *CAPTIONS, *seeing())
    cli, _ = train("align", *start, "--model.start.parts", "[bridge, rows]", "--model.start.code_scale", "0")
    old, new = UniTok.from_pretrained(words), cli.model.model_with_codec()
    tokens = old.codec.join(old.codec.encode((Segment("text", "a large circle"),)))
    ids, positions = tokens.ids[None], tokens.positions[None]
    assert torch.equal(old.model(ids, positions), new.model(ids, positions))
    block = old.codec.vocabulary.block("text")
    hidden = old.model(ids, positions)
    assert torch.equal(old.model.head(hidden, block), new.model.head(hidden, block))
    vision = new.codec.vocabulary.begin("vision")
    assert not torch.equal(new.model.embedding.weight[vision], new.model.embedding.weight[vision - 1])
    aligned = str(tmp_path / "align/model")
    then = ("--model.start.init_from", aligned, "--data.codec.image_tokenizer", "null", *STEADY)
    cli, _ = train("instruct", *then, *seeing(TILES), "--model.start.parts", "[blocks]", steps=2)
    before, after = new.model.state_dict(), cli.model.model.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"blocks", "norm"}


def test_three_stages_lead_from_words_to_a_model_that_answers_and_draws(train, words, tmp_path):
    small = ("--data.batch_size", "4", "--trainer.callbacks", "[]", "--model.compute.compile", "false")
    start = words
    for stage in ("align", "instruct", "draw"):
        config = CONFIG.with_name(f"vision_{stage}.yaml")
        more = ("--model.start.init_from", start, "--data.codec.image_tokenizer", "null", *small)
        train(stage, *more, steps=1, config=config)
        start = str(tmp_path / stage / "model")
    model = UniTok.from_pretrained(start)
    image = model.draw("a large red star")[0]
    assert image.size == (48, 48) and isinstance(model.answer(image, "how many circles?")[0], str)


@pytest.mark.parametrize("parts", ["[encoder, bridge, words, rows, blocks]", "null"])
def test_an_encoder_is_trained_where_it_is_named(train, parts):
    cli, _ = train("run", *seeing(VIT), *CAPTIONS, "--model.start.parts", parts, steps=2)
    encoder = list(cli.model.model.bridge.encoder.parameters())
    assert {weight.requires_grad for weight in encoder} == {parts != "null"}
    assert all(weight.requires_grad for weight in cli.model.model.bridge.layers.parameters())


def test_the_last_layer_of_a_bridge_is_trained_alone(train):
    cli, _ = train("run", *seeing(QUERIES), *CAPTIONS, "--model.start.parts", "[bridge.out]", steps=2)
    trained = {name for name, weight in cli.model.model.named_parameters() if weight.requires_grad}
    assert trained == {"bridge.layers.out.weight", "bridge.layers.out.bias"}
    assert len(cli.model.codec.vision.see(make_image(1).resize((48, 48))).values) == 3


def test_updates_of_low_rank_are_trained_beside_a_bridge(train, tmp_path):
    pytest.importorskip("peft")
    cli, _ = train("run", *seeing(), *CAPTIONS, "--model.lora.rank", "2", steps=3)
    names = [name for name, _ in cli.model.model.named_parameters() if "lora" in name]
    assert names and all(name.startswith("blocks.") for name in names)
    before, _ = train("one step", *seeing(), *CAPTIONS, "--model.lora.rank", "2", steps=1)
    first, last = before.model.model.state_dict(), cli.model.model.state_dict()
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert {"bridge.layers.out.weight", *names} <= changed
    assert not any(name.startswith("blocks.") for name in changed - {*names})
    exported = UniTok.from_pretrained(tmp_path / "run/model").model.state_dict()
    for name, tensor in cli.model.model_with_codec().model.state_dict().items():
        assert torch.equal(tensor, exported[name])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--model.start.parts", "[bridge]"), "parts must be some of rows, words, blocks, got ['bridge']"),
        ((*seeing(), "--model.start.parts", "[]"), "parts must be some of encoder, bridge"),
        ((*seeing(), "--model.sizes.latest_image", "true"), "latest_image needs images as codes"),
        (seeing(LATENTS.replace("Latents", "Eyes")), "Eyes"),
        (
            seeing("{encoder: {class_path: Latents, init_args: {size: [20, 48]}}}"),
            "encoder.size must be multiples of its cell of 8 pixels, got (20, 48)",
        ),
        (seeing("{encoder: {class_path: Network}}"), "precompute must be false for the encoder Network"),
        ((*seeing(), "--model.optimizer.bridge_lr", "0"), "bridge_lr must be above 0, got 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(train, capsys, more, said):
    with pytest.raises(SystemExit):
        train("run", *more, steps=2)
    assert said in capsys.readouterr().err
