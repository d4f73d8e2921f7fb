"""What is proposed for a set and a budget."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from unitok.data.set_facts import DataFacts
from unitok.training.proposal import propose

GLYPHS = DataFacts(
    documents=288, images=288, side=64, texts=288, distinct_texts=90, longest_text=24, even=1.0,
    largest=(1, 1), faults=0.0, leaked=0, held_out=15,
)  # fmt: skip


def test_few_images_get_few_codes_and_moved_copies():
    few, many = propose(GLYPHS, minutes=20), propose(replace(GLYPHS, images=10_000), minutes=20)
    assert few.codes < many.codes == 1024 and few.copies == 16 and many.copies == 1
    assert propose(replace(GLYPHS, images=3_443), minutes=20).copies == 1
    assert propose(replace(GLYPHS, images=40), minutes=20).codes == 64


@pytest.mark.parametrize(("side", "minutes", "size", "cell"), [
    (28, 20, 28, 4), (32, 20, 32, 4), (64, 20, 64, 8), (500, 20, 64, 8), (500, 240, 128, 8), (9, 20, 16, 4),
])  # fmt: skip
def test_the_size_follows_the_images_and_the_budget(side, minutes, size, cell):
    proposal = propose(replace(GLYPHS, side=side), minutes=minutes)
    assert (proposal.size, proposal.cell) == (size, cell) and proposal.size % proposal.cell == 0


def test_photographs_weigh_all_pixels_the_same():
    assert propose(replace(GLYPHS, even=0.1), minutes=20).foreground_weight == 1
    assert propose(GLYPHS, minutes=20).foreground_weight > 1


def test_captions_that_tell_images_apart_weigh_more():
    def model(facts):
        proposal = propose(facts, minutes=20)
        return proposal.transformer_config("DATA", Path("run"), Path("tok"), validate_every=9)["model"]

    assert model(GLYPHS)["text_weight"] > 1
    assert not {"text_weight", "loss"} & set(model(replace(GLYPHS, distinct_texts=1)))


def test_a_short_run_is_not_compiled():
    assert not propose(GLYPHS, minutes=5).compile and propose(GLYPHS, minutes=20).compile


def test_rows_hold_the_longest_document():
    long = replace(GLYPHS, longest_text=2_000, largest=(3, 4))
    proposal = propose(long, minutes=20)
    assert proposal.row_length >= 3 * 64 + 4 * 1_000
    sizes = proposal.transformer_config("DATA", Path("run"), Path("tok"), validate_every=9)["model"]["sizes"]
    assert sizes["max_length"] >= proposal.row_length


def test_a_size_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="--size must be a multiple of 8 pixels, got 60"):
        propose(GLYPHS, minutes=20, size=60)


def test_a_set_without_images_is_refused():
    with pytest.raises(ValueError, match="no image to train on"):
        propose(replace(GLYPHS, images=0), minutes=20)


def test_the_settings_survive_a_yaml_file():
    proposal = propose(GLYPHS, minutes=90)
    config = proposal.tokenizer_config("DATA", Path("run"), validate_every=9)
    assert yaml.safe_load(yaml.safe_dump(config)) == config
    assert config["trainer"]["max_time"] == "00:00:22:30"
