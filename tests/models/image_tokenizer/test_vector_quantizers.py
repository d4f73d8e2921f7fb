"""Several codes a cell, through everything: layout, grammar, drawing, streaming, training groups."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, ResidualCodebooks

DEPTH, SIZE = 2, 16


@pytest.fixture(scope="module", params=[(2, 3), None], ids=["one size", "any size"])
def model(request) -> UniTok:
    return tiny_model(shape=request.param, quantizer=ResidualCodebooks(EMACodebook(SIZE), depth=DEPTH))


def make_image(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8))


def test_the_codes_of_a_cell_follow_each_other_at_one_position(model):
    (codes,) = model.codec.encode((Segment("image", make_image()),))
    assert codes.shape == (2, 3) and len(codes.codes) == 2 * 3 * DEPTH
    assert torch.equal(codes.codes // SIZE, torch.arange(DEPTH).repeat(6))
    tokens = model.codec.join([codes])
    start = model.codec.vocabulary.start("image")
    inside = (tokens.ids >= start) & (tokens.ids < start + DEPTH * SIZE)
    pairs = tokens.positions[inside].unflatten(0, (-1, DEPTH))
    assert torch.equal(pairs[:, 0], pairs[:, 1]) and len(pairs[:, 0].unique(dim=0)) == 6
    assert torch.equal(model.codec.split(tokens.ids)[0].codes, codes.codes)


def test_the_cursor_lets_each_place_have_its_depths_codes(model):
    document = model.codec.encode((Segment("text", "a"), Segment("image", make_image())))
    tokens, cursor = model.codec.join(document), model.codec.cursor()
    start, seen = model.codec.vocabulary.start("image"), []
    for token, position in zip(tokens.ids.tolist(), tokens.positions.tolist(), strict=True):
        assert tuple(position) == cursor.position
        if start <= token < start + DEPTH * SIZE and cursor.lookahead(1):
            seen.append(cursor.legal)
        cursor.push(token)
    assert seen == [range(start, start + SIZE), range(start + SIZE, start + 2 * SIZE)] * 6
    assert cursor.done


def test_every_learned_target_is_in_one_group(model):
    document = model.codec.encode((Segment("text", "a"), Segment("image", make_image())))
    tokens = model.codec.join(document)
    for token in tokens.ids[tokens.learn].tolist():
        assert sum(token in group.ids for group in model.codec.groups) == 1


def test_whatever_an_untrained_model_draws_is_an_image(model):
    images = model.draw(
        ["a", "b"], n=8, seed=1, size=(8, 12) if not model.codec.modalities["image"].shape else None
    )
    assert len(images) == 16 and {image.size for image in images} == {(12, 8)}


def test_codes_of_an_image_give_it_back(model):
    codes = model.encode_image(make_image())
    assert codes.shape == (2, 3 * DEPTH)
    again = model.decode_image(codes)
    assert again.size == (12, 8) and torch.equal(model.encode_image(make_image()), codes)


def test_a_stream_shows_whole_cells(model):
    updates = list(model.stream((Segment("text", "a"),), target="image", seed=3))
    assert updates[-1].done and all(isinstance(update.content, Image.Image) for update in updates)
    assert len({update.content.size for update in updates}) == 1


def test_a_folder_gives_the_same_drawings(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    again = UniTok.from_pretrained(tmp_path / "model")
    size = None if model.codec.modalities["image"].shape else (8, 8)
    ours, theirs = (m.draw(["a"], n=2, seed=5, size=size) for m in (model, again))
    assert [image.tobytes() for image in ours] == [image.tobytes() for image in theirs]
