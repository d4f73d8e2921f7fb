"""Tokenizer training by the real command line: it learns, resumes exactly, skips non-finite batches."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from PIL import Image

from tests.cases import rare
from train.tokenizer import main
from unitok.data.batches.image_batches import ImageBatches
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.lookup_free import FSQLevels
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, ResidualCodebooks
from unitok.training.run.checkpoint import PREVIOUS, AtomicCheckpointIO
from unitok.training.tokenizer import TokenizerTraining, perplexity

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
CONFIG = Path(__file__).parents[2] / "configs/tokenizer/tiny.yaml"


class Recorder(Callback):
    """Keeps the loss of every batch, and none where it was skipped."""

    def __init__(self):
        self.losses: list[float | None] = []

    def on_train_batch_end(self, trainer, module, outputs, *rest):
        self.losses.append(outputs["loss"].item() if outputs else None)


STEADY = (
    "--model.optimizer.schedule", "constant", "--model.settle", "0", "--model.quantizer.revive_below", "0",
)  # fmt: skip

ADVERSARY = (
    "--model.adversary.counts_from", "3", "--model.adversary.channels", "8", "--model.adversary.lecam", "0.1",
    "--model.adversary.r1", "1.0", "--model.ema_decay", "0.5",
    "--model.loss.terms", "[{class_path: MultiScaleGradients}, {class_path: SSIM}]",
)  # fmt: skip


def fit(folder: Path, *more: str, steps: int = 6):
    """Runs the tiny config into a folder; returns its CLI and every batch's loss."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenizerTraining, "configure_callbacks", lambda self: [recorder])
        cli = main([
            "fit", "--config", str(CONFIG), "--threads", "1", "--trainer.max_steps", str(steps),
            "--trainer.val_check_interval", "3", "--trainer.log_every_n_steps", "1",
            "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(folder),
            "--data.train.init_args.count", "72", "--data.val.init_args.count", "16", *more,
        ])  # fmt: skip
    return cli, recorder.losses


@pytest.fixture
def train(tmp_path):
    """Runs the tiny config into a folder of the test; returns its CLI and every batch's loss."""
    return lambda folder, *more, **options: fit(tmp_path / folder, *more, **options)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A run of 20 steps, which several tests look at: its folder, its CLI and every batch's loss."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    grid = "[{class_path: ReconstructionGrid, init_args: {progress: ../progress.png}}]"
    return folder, *fit(folder, "--trainer.callbacks", grid, steps=20)


def poison(monkeypatch, *numbers: int) -> None:
    """Make every batch of these numbers, counted from 0, hold one value that is not finite."""
    original, calls = ImageBatches.__getitem__, []

    def poisoned(self, window):
        images = original(self, window)
        if len(self) == 72:  # the training images
            if len(calls) in numbers:
                images[0, 0, 0, 0] = float("nan")
            calls.append(window)
        return images

    monkeypatch.setattr(ImageBatches, "__getitem__", poisoned)


def test_a_run_learns_and_leaves_everything_in_its_folder(learned):
    folder, cli, losses = learned
    assert sum(losses[-3:]) < sum(losses[:3])
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "image_tokenizer", "last.ckpt", "previous.ckpt", "best.ckpt", "logs", "reconstructions.png"
    }  # fmt: skip
    assert Image.open(folder / "reconstructions.png").size[0] > 8 * 48
    with Image.open(folder.parent / "progress.png") as shown:  # eight images above their reconstructions
        assert shown.width == 8 * 136 + 8 and 2 * 136 < shown.height < 3 * 136
    tokenizer = ImageTokenizer.from_pretrained(folder / "image_tokenizer")
    assert tokenizer.fingerprint() == cli.model.tokenizer.fingerprint()
    wanted = {"loss", "loss/pixels", "loss/codes", "loss/round_trip", "codebook/perplexity", "codebook/usage",
              "val/loss", "val/psnr", "val/surviving_codes", "lr", "gradient_norm"}  # fmt: skip
    assert wanted <= set(cli.trainer.logged_metrics)


ROUND_TRIPS = {
    "ema": EMACodebook(64, 8),
    "cosine": EMACodebook(64, 8, cosine=True),
    "fsq": FSQLevels((4, 4, 4)),
    "residual": ResidualCodebooks(EMACodebook(16, 8), depth=2),
}


@pytest.mark.parametrize("kind", ["ema", "fsq", rare("cosine"), rare("residual")])
def test_the_round_trip_brings_back_codes_that_pixels_alone_lose(kind):
    survived = {weight: trained_alone(ROUND_TRIPS[kind], weight) for weight in (0.0, 2.0)}
    assert survived[2.0] > survived[0.0] + 0.1


def trained_alone(quantizer, weight: float) -> float:
    """Share of codes that survive when a tokenizer has learned a few images by heart."""
    torch.manual_seed(0)
    images = torch.rand(8, 3, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3) * 2 - 1
    module = TokenizerTraining(Patch(factor=8, channels=32), quantizer)
    module.configure_model()
    tokenizer = module.tokenizer.train()
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 3e-3)
    for _ in range(60):
        shuffled = images[torch.randperm(len(images))]
        quantized = tokenizer.encode(shuffled)
        again = tokenizer.render(quantized.latents)
        loss = module.likelihood(shuffled, again) + quantized.loss
        if weight:
            loss = loss + weight * module._round_trip_loss(again, quantized.codes)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        codes = tokenizer.eval().encode(images).codes
        return (tokenizer.encode(tokenizer.decode(codes)).codes == codes).float().mean().item()


def test_without_its_weight_the_round_trip_takes_no_step_of_the_encoder(train, monkeypatch):
    seen = []
    original = ImageTokenizer.latents
    monkeypatch.setattr(
        ImageTokenizer, "latents", lambda self, images: seen.append(1) or original(self, images)
    )
    cli, _ = train(
        "plain", "--model.loss.round_trip_weight", "0", "--trainer.limit_val_batches", "0", steps=2
    )
    assert len(seen) == 2 and "loss/round_trip" not in cli.trainer.logged_metrics


@pytest.mark.parametrize("more", [(), ("--data.workers", "1"), ("--trainer.precision", "bf16-mixed"),
                                  rare(("--model.optimizer.name", "adamw")), ADVERSARY])  # fmt: skip
def test_a_resumed_run_has_the_losses_of_one_never_stopped(train, tmp_path, more):
    """From the checkpoint of its step 3, as the run goes on after every interruption."""
    whole, losses = train("whole", *STEADY, *more)
    parts, rest = train("parts", *STEADY, *more, "--ckpt_path", str(tmp_path / "whole" / PREVIOUS))
    assert rest == losses[3:]
    assert whole.model.tokenizer.fingerprint() == parts.model.tokenizer.fingerprint()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, parts.model.state_dict()[name]), name


def test_a_learning_rate_on_the_command_line_beats_the_checkpoint(train, learned):
    steady = ("--model.optimizer.schedule", "constant", "--model.optimizer.warmup_steps", "1")
    last = str(learned[0] / "last.ckpt")
    cli, _ = train("run", *steady, "--ckpt_path", last, "--model.optimizer.lr", "0.5", steps=21)
    assert cli.trainer.optimizers[0].param_groups[-1]["lr"] == 0.5


@pytest.mark.parametrize("precision", ["32-true", rare("bf16-mixed")])
def test_the_decoder_alone_learns_and_all_codes_stay(train, learned, tmp_path, precision):
    origin = learned[0] / "image_tokenizer"
    options = (
        "--model.start.init_from", str(origin), "--model.start.decoder_alone", "true",
        "--trainer.precision", precision,
    )  # fmt: skip
    _, losses = train("run", *options, steps=12)
    assert sum(losses[-3:]) < sum(losses[:3])
    before, after = map(ImageTokenizer.from_pretrained, (origin, tmp_path / "run/image_tokenizer"))
    images = torch.rand(8, 3, 48, 48) * 2 - 1
    assert torch.equal(before.encode(images).codes, after.encode(images).codes)
    assert before.fingerprint(decoder=False) == after.fingerprint(decoder=False)
    assert before.fingerprint() != after.fingerprint()


def test_a_run_may_start_from_a_tokenizer_and_learn_all_of_it(train, learned):
    folder, _, anew = learned
    origin = folder / "image_tokenizer"
    cli, losses = train("run", "--model.start.init_from", str(origin), steps=3)
    assert losses[0] < anew[0]
    before = ImageTokenizer.from_pretrained(origin)
    assert cli.model.tokenizer.fingerprint(decoder=False) != before.fingerprint(decoder=False)


def test_a_decoder_is_not_trained_alone_on_random_codes(train, capsys):
    with pytest.raises(SystemExit):
        train("run", "--model.start.decoder_alone", "true")
    assert "decoder_alone needs init_from" in capsys.readouterr().err


def test_one_bad_batch_is_skipped_and_leaves_the_codebook_finite(train, monkeypatch):
    poison(monkeypatch, 2)
    cli, losses = train("poisoned", steps=6)
    assert losses[2] is None and losses.count(None) == 1 and cli.model.bad.skipped == 1
    assert cli.trainer.current_epoch <= 2, "a bad batch must not end the epoch"
    assert all(torch.isfinite(tensor).all() for tensor in cli.model.tokenizer.state_dict().values())


def test_a_bad_batch_at_the_end_of_a_step_leaves_that_step_the_gradients_of_the_others(train, monkeypatch):
    """What is left of the step is what a run has that never met the bad batch."""
    poison(monkeypatch, 1)
    steady = ("--model.accumulate", "2", "--trainer.val_check_interval", "2",
              "--model.optimizer.name", "adamw", "--model.optimizer.schedule", "constant",
              "--trainer.limit_train_batches", "2")  # fmt: skip
    short, losses = train("poisoned", *steady, steps=1)
    assert losses == [losses[0], None] and short.trainer.global_step == 1
    assert all(weight.grad is None for weight in short.model.tokenizer.parameters())
    moved = short.model.tokenizer.state_dict()
    monkeypatch.undo()
    one = ("--trainer.limit_train_batches", "0.2", "--trainer.val_check_interval", "1.0")  # 1 of 5
    alone, first = train("alone", *steady, *one, steps=1)
    assert first == losses[:1]
    for name, tensor in alone.model.tokenizer.state_dict().items():
        assert torch.equal(tensor, moved[name]), name


def test_bad_batches_in_a_row_stop_the_run_with_one_line(train, monkeypatch, capsys):
    poison(monkeypatch, *range(100))
    with pytest.raises(SystemExit) as stop:
        train("hopeless", "--model.optimizer.max_bad_batches", "3")
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "3 batches in a row" in said


def test_a_run_may_end_by_the_clock(train):
    cli, losses = train(
        "clock", "--trainer.max_time", "00:00:00:02", "--model.optimizer.warmup_steps", "1", steps=-1
    )
    assert len(losses) > 3
    assert cli.trainer.optimizers[0].param_groups[-1]["lr"] < 0.5 * cli.model.optimizer_config.lr


# ---- an adversary, further terms, averaged weights


def test_an_adversary_learns_first_and_counts_later(train, tmp_path):
    pairs = ("--model.accumulate", "2", "--trainer.val_check_interval", "5")
    cli, losses = train("gan", *ADVERSARY, *pairs, steps=6)
    assert len(losses) == 10, "two epochs of two pairs and a single batch"
    assert all(torch.isfinite(torch.tensor(losses)))
    assert cli.trainer.global_step == 6, "the discriminator's steps are not counted"
    wanted = {
        "loss/adversary",
        "loss/gradients",
        "loss/ssim",
        "adversary/loss",
        "adversary/accuracy",
        "val/ssim",
    }
    assert wanted <= set(cli.trainer.logged_metrics)
    exported = ImageTokenizer.from_pretrained(tmp_path / "gan/image_tokenizer")
    assert (
        exported.fingerprint() == cli.model.averaged.module.fingerprint() != cli.model.tokenizer.fingerprint()
    )


def test_accumulated_batches_are_one_step(train):
    """Without a codebook that moves between them, two halves of a batch are the batch."""
    kind = (
        "--model.quantizer",
        "FSQLevels",
        "--model.loss.foreground_weight",
        "1",
        "--trainer.val_check_interval",
    )
    whole, _ = train("whole", *kind, "1", "--data.batch_size", "72", steps=1)
    halves, losses = train(
        "halves", *kind, "2", "--data.batch_size", "36", "--model.accumulate", "2", steps=1
    )
    assert len(losses) == 2 and halves.trainer.global_step == whole.trainer.global_step == 1
    norms = [float(run.trainer.logged_metrics["gradient_norm"]) for run in (whole, halves)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_test_measures_the_trained_tokenizer(learned, tmp_path):
    Image.effect_noise((70, 33), 80).save(tmp_path / "a.png")
    Image.effect_noise((40, 60), 80).save(tmp_path / "b.jpg")
    main([
        "test", "--config", str(CONFIG), "--ckpt_path", str(learned[0] / "last.ckpt"), "--threads", "1",
        "--trainer.default_root_dir", str(tmp_path / "run"), "--trainer.enable_progress_bar", "false",
        "--data.test", "unitok.data.readers.folders.PictureFolder", "--data.test.path", str(tmp_path),
    ])  # fmt: skip
    figures = json.loads((tmp_path / "run/test.json").read_text())
    assert {
        "psnr",
        "ssim",
        "frechet_random_features",
        "codebook_usage",
        "perplexity",
        "images_per_second",
    } < set(figures)
    assert Image.open(tmp_path / "run/reconstructions/00.png").width > 3 * 32


# ---- what users mistype


PATCH = {"class_path": "Patch"}
WRONG = {
    "typo": ({"model": {"lrr": 1}}, "lrr"),
    "typo in a group": ({"model": {"optimizer": {"lrr": 1}}}, "did you mean model.optimizer.lr?"),
    "typo in the sizes": ({"model": {"architecture": PATCH | {"init_args": {"chanels": 8}}}}, "chanels"),
    "wrong type": ({"model": {"optimizer": {"lr": "fast"}}}, "fast"),
    "wrong size": ({"data": {"size": [50, 48]}}, "50×48"),
    "wrong sizes": ({"model": {"architecture": PATCH | {"init_args": {"factor": 0}}}}, "factor=0"),
    "adversary that never learned": ({"model": {"adversary": {"counts_from": 0}}}, "untrained discriminator"),
    "accumulation by the trainer": ({"trainer": {"accumulate_grad_batches": 2}}, "accumulate_grad_batches=2"),
    "checkpoints between two halves of a step": ({"model": {"accumulate": 7}}, "val_check_interval=20"),
    "no LPIPS weights": (
        {"model": {"loss": {"terms": [{"class_path": "LPIPS", "init_args": {"files": ["absent.pth"]}}]}}},
        "absent.pth",
    ),
    "no shards": ({"data": {"path": "nowhere", "train": None, "val": None}}, "nowhere"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, case, capfd):
    changes, named = WRONG[case]
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump(changes))
    with pytest.raises(SystemExit) as stop:
        main([
            "fit", "--config", str(CONFIG), "--config", str(config), "--threads", "1",
            "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(tmp_path / "run"),
        ])  # fmt: skip
    said = capfd.readouterr().err
    assert stop.value.code not in (0, None)
    assert named in said and "Traceback" not in said


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_missing_or_damaged_checkpoint_is_named(train, tmp_path, content, capsys):
    path = tmp_path / "given.ckpt"
    if content:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        train("run", "--ckpt_path", str(path))
    assert stop.value.code == 2 and "given.ckpt" in capsys.readouterr().err


def test_a_foreign_folder_in_the_results_place_is_noticed_before_anything_is_learned(train, tmp_path, capsys):
    package = tmp_path / "run/image_tokenizer"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        train("run")
    assert stop.value.code == 2 and "image_tokenizer: holds __init__.py" in capsys.readouterr().err
    assert (package / "__init__.py").read_text() == "mine"
    assert not (tmp_path / "run/last.ckpt").exists()


def test_a_result_is_not_lost_where_its_folder_is_taken_while_it_learns(train, tmp_path, monkeypatch, caplog):
    taken = tmp_path / "run/image_tokenizer"

    def take(self, trainer, module):
        taken.mkdir()
        (taken / "mine").touch()

    monkeypatch.setattr(Recorder, "on_train_start", take)
    cli, _ = train("run")
    assert [path.name for path in taken.iterdir()] == ["mine"]
    found = ImageTokenizer.from_pretrained(tmp_path / "run/image_tokenizer-1")
    assert found.fingerprint() == cli.model.result.fingerprint()
    assert "the result is in" in caplog.text


# ---- parts


def test_a_failed_save_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    checkpoints, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    checkpoints.save_checkpoint({"state_dict": {}, "step": 1}, path)

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save_checkpoint({"state_dict": {}, "step": 2}, path)
    assert checkpoints.load_checkpoint(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_perplexity_is_the_number_of_codes_in_even_use():
    assert perplexity(torch.tensor([[3, 3], [3, 3]]), 8) == pytest.approx(1)
    assert perplexity(torch.arange(8).repeat(3), 8) == pytest.approx(8)
