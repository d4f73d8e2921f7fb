"""Training through the real command line: it learns, resumes exactly, and skips non-finite batches."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.cases import rare
from tests.data.samples import write_images, write_lines
from tests.models.test_cross_entropy import CODEC
from tests.tiny_codecs import random_codes
from tests.tiny_language_models import language_model
from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate
from unitok.data.batches.packing import pack
from unitok.data.tasks import TaskConfig
from unitok.modalities.text import train_bpe
from unitok.models.cross_entropy import grouped_cross_entropy
from unitok.models.transformer import TransformerSizes
from unitok.training.run.checkpoint import PREVIOUS
from unitok.training.token_dropout import after_first_segment
from unitok.training.transformer import TransformerTraining
from unitok.training.weights.init_from import StartConfig
from unitok.training.weights.parallelize import ComputeConfig
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.tasks import ShapesTasks

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
CONFIG = Path(__file__).parents[2] / "configs/transformer/tiny.yaml"
CONSTANT = ("--model.optimizer.schedule", "constant")


@pytest.fixture(scope="module")
def plain(fit, tmp_path_factory):
    """A run of 6 steps without further options, which several tests look at: its folder, CLI and rows."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return folder, *fit(folder, *CONSTANT)


@pytest.fixture
def resumed(train, plain, tmp_path):
    """Trains a run, and goes on from the checkpoint of its step 3 in a folder of its own; checks that both
    have the same rows and weights, and returns the whole run as `plain` does."""

    def check(*more: str):
        folder = tmp_path / "whole"
        folder, whole, rows = (folder, *train(folder, *CONSTANT, *more)) if more else plain
        parts, rest = train("parts", *CONSTANT, *more, "--ckpt_path", str(folder / PREVIOUS))
        assert rest == rows[3:]
        for name, tensor in whole.model.state_dict().items():
            assert torch.equal(tensor, parts.model.state_dict()[name]), name
        return folder, whole, rows

    return check


def test_a_run_on_questions_boxes_and_edits_ends_in_a_folder_that_answers_them(train, tmp_path):
    tasks = (
        "{class_path: unitok.worlds.shapes.tasks.ShapesTasks, init_args: {canvas: 48, count: 60, turns: 2}}"
    )
    source = f"{{class_path: unitok.data.source.Concat, init_args: {{sources: [{tasks}]}}}}"
    sizes = ["--model.sizes.max_length", "256", "--data.row_length", "160", "--data.codec.text_size", "400"]
    options = ["--data.codec.locations", "[box, point]", "--data.train", source, "--data.val", tasks, *sizes]
    _, rows = train("tasks", *options, steps=20)
    losses = [loss for loss, _ in rows]
    assert sum(losses[-5:]) < sum(losses[:5]) - 1
    model = UniTok.from_pretrained(tmp_path / "tasks/model", verify=True)
    learned = {task.name: task for task in model.tasks}
    assert list(learned) == ["questions", "boxes", "edits", "chat"]
    assert learned["boxes"].examples[0].answer.startswith("<")
    image, asked, answer = ShapesTasks(TEST_SEED, 1, 48, ["box"])[0]
    (found,) = model.generate([(image, asked)], target="box")
    assert type(found[-1].content) is type(answer.content)


def test_a_run_learns_and_ends_in_a_folder_that_draws_and_captions(train, tmp_path):
    samples = (
        "[{class_path: unitok.training.samples.Samples, init_args: {count: 2, progress: ../progress.png}}]"
    )
    cli, rows = train("run", "--trainer.callbacks", samples, "--trainer.val_check_interval", "20", steps=20)
    assert rows[-1][0] < rows[0][0] - 0.3
    assert cli.trainer.global_step == len(rows) == 20
    model = UniTok.from_pretrained(tmp_path / "run/model")
    assert [task.name for task in model.tasks] == ["captions", "drawings"] and model.unlearned("edits")
    image = model.draw("a small red circle")[0]
    assert image.size == (48, 48) and isinstance(model.caption(image)[0], str)
    assert {"drawn.png", "captioned.png"} <= {path.name for path in (tmp_path / "run").iterdir()}
    with Image.open(tmp_path / "progress.png") as shown:  # two drawings above two captions
        assert shown.size[0] == 2 * 128 + 3 * 8 and shown.size[1] > 2 * 128 + 4 * 8
    table = logged_text(tmp_path / "run", "samples/captions").splitlines()
    assert table[0] == "true | written from codes | written from pixels" and len(table) == 4
    assert all(len(row.replace("\\|", "").split("|")) == 3 for row in table)
    logged = {name.split("/")[0] for name in cli.trainer.logged_metrics}
    assert logged >= {"loss", "perplexity", "gradient_norm", "tokens_per_second", "lr", "val"}


def logged_text(folder: Path, tag: str) -> str:
    """The last text of a tag in a run's TensorBoard log."""
    log = EventAccumulator(str(folder / "logs"))
    log.Reload()
    return log.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_a_run_on_conversations_ends_in_a_folder_that_knows_their_template(train, tmp_path):
    turns = [{"role": "user", "content": "<image> Which?"}, {"role": "assistant", "content": "Red."}]
    write_images(tmp_path / "chats", "red")
    write_lines(tmp_path / "chats/a.jsonl", [{"messages": turns, "images": ["red.png"]}] * 21)
    own = [
        ("train", "null"),
        ("val", "null"),
        ("path", str(tmp_path / "chats/a.jsonl")),
        ("transforms.chat.user_mark", "u:"),
    ]
    train("chat", *(part for name, value in own for part in (f"--data.{name}", value)), steps=2)
    model = UniTok.from_pretrained(tmp_path / "chat/model")
    assert model.chat == ChatTemplate(user_mark="u:")
    assert [(t.name, t.examples[0].text) for t in model.tasks] == [
        ("questions", "Which? → Red."), ("chat", "Which? → Red."),
    ]  # fmt: skip


def test_a_run_on_a_mixture_tells_what_it_read(train, tmp_path):
    mixture = str(CONFIG.parents[1] / "data/mixture.yaml")
    train("mixed", "--config", mixture, "--data.task.condition_dropout", "0", steps=3)
    read = json.loads((tmp_path / "mixed/data_mixture.json").read_text())
    documents = {name: count["documents"] for name, count in read.items()}
    assert sum(documents.values()) >= 24 and documents["ShapesSource 1"] < documents["ShapesSource 2"]
    assert all(count["ids"] > 36 * count["documents"] for count in read.values())


@pytest.mark.parametrize(
    "more",
    [
        (),
        rare(("--model.optimizer.name", "adamw")),  # as the low-rank updates below are
        ("--trainer.precision", "bf16-mixed"),
        ("--model.compute.processes", "2"),
    ],
)
def test_a_resumed_run_has_the_losses_of_one_never_stopped(resumed, more):
    resumed(*more)


def test_several_processes_train_what_one_does(train, plain):
    """Also when a run goes on that several began, though the settings do not say so again."""
    _, alone = train("alone", *CONSTANT, "--model.optimizer.name", "adamw", steps=8)
    shared = ("--model.optimizer.name", "adamw", "--model.compute.processes", "3")
    cli, rows = train("shared", *CONSTANT, *shared, steps=8)
    assert cli.model.rows.processes == 3 and cli.model.rows.workers.started
    torch.testing.assert_close(torch.tensor(rows), torch.tensor(alone), rtol=1e-4, atol=1e-4)
    assert not any(process.is_alive() for process in cli.model.rows.workers.processes)
    last = str(Path(cli.trainer.default_root_dir) / "last.ckpt")
    cli, _ = train("on", *CONSTANT, *shared[:2], "--ckpt_path", last, steps=10)
    assert cli.model.rows.processes == 3


def test_a_learning_rate_on_the_command_line_beats_the_checkpoint(train, plain):
    last = str(plain[0] / "last.ckpt")
    cli, _ = train("rates", "--ckpt_path", last, "--model.optimizer.lr", "0.5", *CONSTANT, steps=7)
    assert cli.trainer.optimizers[0].param_groups[1]["lr"] == 0.5


def test_accumulated_batches_give_the_gradient_of_one_large_batch(train):
    steady = ("--model.optimizer.name", "adamw", "--model.optimizer.schedule", "constant",
              "--data.task.name", "draw", "--data.task.condition_dropout", "0")  # fmt: skip
    _, large = train("large", *steady, "--data.batch_size", "16", steps=2)
    pairs = ("--trainer.accumulate_grad_batches", "2", "--trainer.val_check_interval", "4")
    _, small = train("small", *steady, *pairs, steps=2)
    assert [norm for _, norm in small[1::2]] == pytest.approx([norm for _, norm in large], rel=1e-4)


def test_a_batch_without_a_finite_gradient_is_skipped_and_counted(train, monkeypatch):
    original, calls = TransformerTraining.sums, []

    def poisoned(self, batch, whole=None):
        sums = original(self, batch, whole)
        calls.append(self.trainer.training)
        return sums._replace(total=sums.total * float("nan")) if calls.count(True) == 2 else sums

    monkeypatch.setattr(TransformerTraining, "sums", poisoned)
    cli, rows = train("poisoned", steps=4)
    assert cli.model.bad.skipped == 1 and len(rows) == 4
    assert all(torch.isfinite(weight).all() for weight in cli.model.model.parameters())


def test_a_run_whose_gradients_are_never_finite_stops_with_one_line(train, monkeypatch, capsys):
    original = TransformerTraining.sums

    def endless(self, batch, whole=None):
        sums = original(self, batch, whole)
        return sums._replace(total=sums.total * float("inf"))

    monkeypatch.setattr(TransformerTraining, "sums", endless)
    with pytest.raises(SystemExit) as stop:
        train("hopeless", "--model.optimizer.max_bad_batches", "3")
    assert stop.value.code != 0 and "3 batches in a row" in capsys.readouterr().err


def test_recomputed_blocks_change_no_loss(train, plain):
    _, again = train("again", "--model.compute.recompute", "true", *CONSTANT, steps=3)
    assert again == plain[2][:3]


def test_averaged_weights_are_exported_and_resumed_exactly(resumed):
    folder, whole, _ = resumed("--model.ema_decay", "0.7")
    exported = UniTok.from_pretrained(folder / "model").model.state_dict()
    for name, tensor in whole.model.averaged.module.state_dict().items():
        assert torch.equal(tensor, exported[name])
    assert not torch.equal(whole.model.model.norm.weight, whole.model.averaged.module.norm.weight)


def test_a_language_model_is_grafted_and_held_while_asked(train, tmp_path):
    pytest.importorskip("transformers")
    theirs = language_model("qwen3", rows=300)
    theirs.save_pretrained(tmp_path / "lm")
    train_bpe(["a small red circle"] * 3, size=270).save(str(tmp_path / "lm/tokenizer.json"))
    graft = (
        "--model.start.init_from", str(tmp_path / "lm"),
        "--data.codec.text_tokenizer", str(tmp_path / "lm/tokenizer.json"),
        "--model.start.freeze_steps", "2", "--model.optimizer.schedule", "constant",
        "--trainer.val_check_interval", "2",
    )  # fmt: skip
    held, _ = train("held", *graft, steps=2)
    known, model = held.model.codec.modalities["text"].size, held.model.model
    assert torch.equal(model.embedding.weight[:known], theirs.model.embed_tokens.weight[:known])
    assert torch.equal(model.blocks[0].feed_forward.down.weight, theirs.model.layers[0].mlp.down_proj.weight)
    assert model.embedding.weight[known:].std(dim=0).max() > 0
    freed, _ = train("freed", *graft, steps=4)
    assert not torch.equal(
        freed.model.model.blocks[0].feed_forward.down.weight, theirs.model.layers[0].mlp.down_proj.weight
    )


def test_a_run_goes_on_from_an_own_folder_with_its_tokenizers(train, tmp_path, capsys):
    train("first", steps=2)
    folder = str(tmp_path / "first/model")
    options = "{canvas: 48, count: 24, tasks: [box]}"
    tasks = f"{{class_path: unitok.worlds.shapes.tasks.ShapesTasks, init_args: {options}}}"
    new = (
        "--model.start.init_from", folder, "--data.train", tasks, "--data.val", tasks,
        "--data.codec.locations", "[box]", "--model.sizes.width", "64", "--data.row_length", "80",
        "--data.codec.image_tokenizer", "null",
    )  # fmt: skip
    held, _ = train("held", *new, "--model.start.freeze_steps", "2", steps=2)
    old, model = UniTok.from_pretrained(folder), held.model.model
    assert held.model.codec.modalities["text"].fingerprint() == old.codec.modalities["text"].fingerprint()
    assert torch.equal(model.blocks[0].feed_forward.down.weight, old.model.blocks[0].feed_forward.down.weight)
    known, words = old.model.config.vocab_size, held.model.codec.vocabulary
    assert torch.equal(model.embedding.weight[:known], old.model.embedding.weight)
    assert not torch.equal(
        model.unembedding.weight[words.codes("box")[0]], model.unembedding.weight[words.begin("box")]
    )
    assert UniTok.from_pretrained(tmp_path / "held/model").codec.vocabulary == words
    freed, _ = train("freed", *new, steps=2)
    assert not torch.equal(freed.model.model.embedding.weight[:known], old.model.embedding.weight)
    train_bpe(["something else"] * 3, size=280).save(str(tmp_path / "other.json"))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        train("other", *new, "--data.codec.text_tokenizer", str(tmp_path / "other.json"), steps=2)
    assert f"--data.codec.text_tokenizer {folder}/tokenizer.json" in capsys.readouterr().err


def test_low_rank_updates_are_trained_resumed_and_exported_merged(resumed):
    pytest.importorskip("peft")
    folder, whole, _ = resumed("--model.lora.rank", "2", "--model.optimizer.name", "adamw")
    exported = UniTok.from_pretrained(folder / "model").model.state_dict()
    for name, tensor in whole.model.model_with_codec().model.state_dict().items():
        assert torch.equal(tensor, exported[name])


def test_the_log_says_how_much_is_padding_how_large_the_logits_are_and_what_the_machine_gives(train):
    cli, _ = train("run", "--model.compute.peak_tflops", "0.5", "--model.compute.attention", "flex", steps=2)
    logged = cli.trainer.logged_metrics
    assert 0 <= logged["padding"] < 0.5 and logged["logit_norm/image"] > 0
    assert logged["mfu"] == pytest.approx(float(logged["tflops"]) / 0.5)


@pytest.mark.slow
def test_a_head_over_all_ids_learns_to_end_an_image_by_itself(train):
    full = ("--model.loss.head", "full", "--data.task.name", "draw", "--data.task.condition_dropout", "0",
            "--model.optimizer.name", "adamw", "--model.optimizer.schedule", "constant",
            "--model.optimizer.warmup_steps", "1")  # fmt: skip
    cli, _ = train(
        "full", *full, "--model.optimizer.lr", "1e-2", "--trainer.val_check_interval", "100", steps=100
    )
    model = cli.model.model_with_codec()
    tokens = model.codec.join(model.codec.encode(cli.datamodule.val[0]))
    logits = model.model.head(model.model(tokens.ids[None], tokens.positions[None]))[0]
    end = model.codec.vocabulary.end("image")
    place = tokens.ids.tolist().index(end) - 1
    assert logits[place].argmax() == end


def test_a_head_of_another_kind_is_refused(train, capsys):
    with pytest.raises(SystemExit):
        train("odd", "--model.loss.head", "none")
    assert "none" in capsys.readouterr().err


@pytest.mark.slow
def test_compiled_blocks_give_the_same_losses(train, plain):
    pytest.importorskip("torch._inductor")
    cli, compiled = train("compiled", "--model.compute.compile", "true", *CONSTANT, steps=3)
    assert torch.allclose(torch.tensor(plain[2][:3]), torch.tensor(compiled), rtol=1e-3)
    assert cli.model.model_with_codec().draw("a small red circle")[0].size == (48, 48)


def test_blocks_are_compiled_for_the_device_that_the_strategy_trains_on(monkeypatch):
    compiled = []
    place = "unitok.training.transformer.compile_blocks"
    monkeypatch.setattr(place, lambda blocks, *, device: compiled.append(device))

    trainer = Mock(  # on a machine with GPUs: the weights are made before they are moved there
        spec=Trainer, strategy=SimpleNamespace(root_device=torch.device("cuda:1")), callbacks=[],
        datamodule=SimpleNamespace(codec=CODEC, task=TaskConfig()), default_root_dir="nowhere",
    )  # fmt: skip
    module = TransformerTraining(TransformerSizes(width=16, layers=1), compute=ComputeConfig(compile=True))
    module.trainer = trainer
    module.configure_model()
    assert module.device == torch.device("cpu") and compiled == [torch.device("cuda:1")]


def test_where_nothing_compiles_training_goes_on_with_one_line(train, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("no C++ compiler found\nmore")

    monkeypatch.setattr(torch, "compile", broken)
    _, rows = train("uncompiled", "--model.compute.compile", "true", steps=3)
    assert len(rows) == 3
    assert [r.message for r in caplog.records if "torch.compile" in r.message] == [
        "torch.compile does not work here, training without it: no C++ compiler found"
    ]


def test_a_batch_in_which_nothing_is_learned_has_a_gradient_of_zero():
    hidden = torch.randn(2, 5, 24, requires_grad=True)
    targets = torch.full((2, 5), -100)
    sums = grouped_cross_entropy(torch.randn(CODEC.vocabulary.size, 24), hidden, targets, CODEC.groups)
    sums.total.backward()
    assert hidden.grad.abs().max() == 0 and sums.mean == 0


def test_what_may_be_hidden_comes_after_a_documents_first_segment():
    words = CODEC.vocabulary
    rng = random.Random(1)
    batch = pack(CODEC.lay_out([random_codes(CODEC, rng) for _ in range(30)]), length=96, pad=words.pad)
    ends = {words.end(name) for name in words.modalities}
    later = after_first_segment(batch.ids, words)
    for row in range(len(batch.ids)):
        for number in range(int(batch.document[row].max()) + 1):
            places = (batch.document[row] == number).nonzero()[:, 0].tolist()
            closed = [i for i in places if batch.ids[row, i].item() in ends]
            assert [i for i in places if later[row, i]] == [i for i in places if closed and i >= closed[0]]


def test_hidden_inputs_change_what_is_learned_and_are_resumed_exactly(resumed, plain):
    _, _, rows = resumed("--model.loss.token_dropout", "{text: 0.3, image: 0.1}")
    assert rows != plain[2]


def test_words_of_its_own_need_a_model_to_start_from():
    with pytest.raises(ValueError, match=r"new_words .* model\.start\.init_from"):
        StartConfig(new_words=True)
