"""Models whose prompts are read in both directions are trained, resumed to the bit, and exported."""

import pytest
import torch

from tests.generation.test_likelihood import make_image
from tests.training.test_transformer_vision import CAPTIONS, STEADY, seeing
from unitok.api.unitok import UniTok
from unitok.document import Segment

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
PREFIX = ("--model.sizes.variant.bidirectional", "prefix", "--data.task.answers", "one")


@pytest.mark.slow
def test_a_resumed_run_has_the_losses_of_one_never_stopped_and_its_model_reads_the_same(train, tmp_path):
    more = (*PREFIX, *seeing(), *STEADY, *CAPTIONS)
    whole, rows = train("whole", *more)
    _, first = train("parts", *more, steps=3)
    _, rest = train("parts", *more, "--ckpt_path", "last")
    assert [*first, *rest] == rows
    trained, model = whole.model.model_with_codec(), UniTok.from_pretrained(tmp_path / "whole/model")
    assert model.model.sizes.variant.bidirectional == "prefix"
    images = [make_image(1), make_image(2)]
    assert model.caption(images) == trained.caption(images)


def test_the_loss_is_minus_the_score_of_what_is_learned(train):
    """Training and scores read the same prefix."""
    cli, _ = train("run", *PREFIX, *seeing(), *CAPTIONS, "--data.task.condition_dropout", "0", steps=2)
    module, data = cli.model.eval(), cli.datamodule
    batch = next(iter(data.val_dataloader()))
    with torch.no_grad():
        loss = float(module.sums(batch).cross_entropy["text"])
    model, count = module.model_with_codec(), batch.documents
    documents = [data.val[index] for index in range(count)]
    shown = [(Segment("image", image.content), text) for text, image in documents]
    scored = sum(score.log_probability for score in model.score(shown))
    assert loss == pytest.approx(-scored, rel=1e-4)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (PREFIX[:2], "bidirectional=prefix needs data.task.answers=one, got all"),
        (
            ("--model.sizes.variant.bidirectional", "images"),
            "bidirectional=images needs images that are seen",
        ),
        (("--model.sizes.variant.bidirectional", "both"), "bidirectional"),
        (
            (*PREFIX, *seeing(), "--model.compute.attention", "xformers"),
            "bidirectional=prefix needs model.compute.attention=sdpa or flex, got xformers",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(train, capsys, more, said):
    with pytest.raises(SystemExit):
        train("run", *more, steps=2)
    assert said in capsys.readouterr().err
