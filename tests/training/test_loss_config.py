"""Weights and token dropout by modality: short forms, and names that the data lack."""

import pytest

from unitok.models.transformer import TransformerSizes
from unitok.training.loss_config import LossConfig
from unitok.training.transformer import TransformerTraining


def test_short_forms_replace_the_weights_of_text_and_images():
    loss = LossConfig(weights={"image": 3.0, "box": 2.0})
    sizes = TransformerSizes()
    assert TransformerTraining(sizes, loss=loss).loss_config == loss
    module = TransformerTraining(sizes, loss=loss, text_weight=0.5, image_weight=4.0)
    assert module.loss_config.weights == {"text": 0.5, "image": 4.0, "box": 2.0}
    assert loss.weights == {"image": 3.0, "box": 2.0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": {"text": -1.0}}, r"weights\.text must be at least 0, got -1\.0"),
        ({"token_dropout": {"image": 1.5}}, r"token_dropout\.image must be in \[0, 1\], got 1\.5"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        LossConfig(**wrong)


@pytest.mark.parametrize("setting", ["weights", "token_dropout"])
def test_a_modality_that_the_data_lack_is_named(setting):
    LossConfig(**{setting: {"image": 0.5}}).check_modalities(["text", "image"])
    with pytest.raises(ValueError, match="imgae must be a modality of the data, one of text, image"):
        LossConfig(**{setting: {"imgae": 0.5}}).check_modalities(["text", "image"])
