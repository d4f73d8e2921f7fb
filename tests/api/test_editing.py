"""Inpainting redraws free cells and keeps known codes and pixels; variations; edits by instruction."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sample import edit
from tests.tiny_model import tiny_model
from unitok.document import Codes, Segment
from unitok.generation.generate import generate
from unitok.generation.likelihood import scores
from unitok.modalities.image_masks import blacken, free_cells
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, ResidualCodebooks

MODELS = {
    "one size": {"shape": (2, 3)},
    "any size": {"shape": None},
    "residual": {"shape": (2, 3), "quantizer": ResidualCodebooks(EMACodebook(16), depth=2)},
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return tiny_model(**MODELS[request.param])


def make_image(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8))


def hole(*cells: tuple[int, int]) -> Image.Image:
    """Build a mask with a white pixel in each of these cells of 4 x 4 pixels."""
    mask = Image.new("L", (12, 8))
    for row, column in cells:
        mask.putpixel((column * 4 + 1, row * 4 + 2), 255)
    return mask


def test_known_codes_stay_and_free_ones_change(model, monkeypatch):
    written = []
    monkeypatch.setattr(
        "unitok.api.editing.generate", lambda *a, **k: written.extend(generate(*a, **k)) or written
    )
    model.inpaint(
        [make_image()] * 2, [hole((0, 1)), hole((1, 0), (1, 1))], ["a", "b"], n=8, seed=1, temperature=4.0
    )
    depth = model.codec.modalities["image"].tokenizer.depth
    before = model.codec.encode((Segment("image", make_image()),))[0].codes.view(6, depth)
    drawn = torch.stack([codes[-1].codes.view(6, depth) for codes in written]).view(2, 8, 6, depth)
    for i, free in enumerate(([1], [3, 4])):
        kept = [cell for cell in range(6) if cell not in free]
        assert (drawn[i][:, kept] == before[kept]).all()
        assert (drawn[i][:, free] != before[free]).any()
        assert len(drawn[i][:, free].flatten(1).unique(dim=0)) > 1, "the copies differ"


def test_a_model_that_fills_holes_is_prompted_with_the_masked_image():
    model, mask = tiny_model(shape=(2, 3), fills=True), hole((0, 1), (0, 2), (1, 0), (1, 1))
    (drawn,) = model.inpaint(make_image(), mask, "a", paste=False, seed=3, temperature=1.0)
    shown = Segment("image", blacken(make_image(), free_cells(mask, 4)))
    document = (shown, Segment("text", "a"), Segment("image", drawn))
    plain = tiny_model(shape=(2, 3)).inpaint(make_image(), mask, "a", paste=False, seed=3, temperature=1.0)
    assert plain[0].tobytes() != drawn.tobytes()
    (fixed,) = model.codec.encode((Segment("image", make_image()),))
    free = torch.tensor([False, True, True, True, True, False])
    request = replace(
        model.request(document[:2], target="image", seed=3, temperature=1.0),
        fixed=Codes("image", fixed.codes.masked_fill(free, -1), fixed.shape),
    )
    again = generate(model.model, model.codec, [request])
    assert model.codec.decode(again[0][-1:])[0].content.tobytes() == drawn.tobytes()


def test_pixels_outside_the_mask_are_pasted_from_the_image(model):
    mask = hole((0, 1))
    (drawn,) = model.inpaint(make_image(), mask, "a")
    outside = np.asarray(mask) == 0
    assert (np.asarray(drawn)[outside] == np.asarray(make_image())[outside]).all()
    (codes,) = model.inpaint(make_image(), mask, "a", paste=False)
    assert (np.asarray(codes)[outside] != np.asarray(make_image())[outside]).any()


def test_a_photo_keeps_its_size_and_what_the_model_does_not_see():
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 60, 3), np.uint8))
    mask = Image.new("L", photo.size)
    mask.paste(255, (10, 0, 40, 90))
    model = tiny_model(shape=(2, 2))
    drawn = model.inpaint(photo, mask, "a", n=2, full_size=True, temperature=1.0)
    small = model.inpaint(photo, mask, "a", n=2, temperature=1.0)
    for large, one in zip(drawn, small, strict=True):
        changed = (np.asarray(large) != np.asarray(photo)).any(axis=2)
        assert large.size == photo.size and changed[15:75, 10:40].mean() > 0.9
        changed[15:75, 10:40] = False
        assert not changed.any()
        enlarged = one.resize((60, 60), Image.Resampling.BICUBIC)
        assert large.getpixel((25, 45)) == enlarged.getpixel((25, 30))
    with pytest.raises(ValueError, match="full_size must be False where paste is False"):
        model.inpaint(photo, mask, "a", full_size=True, paste=False)


def test_the_result_does_not_depend_on_the_batch(model):
    images, masks, prompts = [make_image(1), make_image(2)], [hole((0, 0)), hole((1, 1))], ["a", "b"]
    whole = model.inpaint(images, masks, prompts, n=2, seed=5, temperature=1.0)
    single = [
        drawn
        for i in range(2)
        for drawn in model.inpaint(
            images[i], masks[i], prompts[i], n=2, seed=5, temperature=1.0, batch_size=1
        )
    ]
    assert [image.tobytes() for image in whole] == [image.tobytes() for image in single]


@pytest.mark.parametrize("paste", [True, False])
def test_best_of_maximises_the_fit_to_image_and_prompt(model, monkeypatch, paste):
    written, mask = [], hole((0, 0), (0, 1), (1, 1))
    monkeypatch.setattr(
        "unitok.api.editing.generate", lambda *a, **k: written.extend(generate(*a, **k)) or written
    )
    best = model.inpaint(make_image(), mask, "a", n=2, best_of=4, temperature=2.0, paste=paste)
    drawn = [model.codec.decode(codes[-1:])[0].content for codes in written]
    if paste:
        drawn = [Image.composite(new, make_image(), mask) for new in drawn]
    image_scores = scores(model.model, model.codec, written)
    prompt_scores = model.score([(Segment("image", new), Segment("text", "a")) for new in drawn])
    fits = [a.log_probability + b.log_probability for a, b in zip(image_scores, prompt_scores, strict=True)]
    expected = [drawn[int(np.argmax(fits[:4]))], drawn[4 + int(np.argmax(fits[4:]))]]
    assert [new.tobytes() for new in best] == [new.tobytes() for new in expected]


@pytest.mark.parametrize(("keep", "kept"), [(0.0, 0), (0.5, None), (0.99, 5)])
def test_a_variation_keeps_about_its_share_and_changes_at_least_a_cell(model, keep, kept, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "unitok.api.editing.generate", lambda *a, **k: seen.extend(r.fixed for r in a[2]) or generate(*a, **k)
    )
    model.vary(make_image(), "a", keep=keep, n=1, seed=3)
    depth = model.codec.modalities["image"].tokenizer.depth
    number = int((seen[0].codes >= 0).sum()) // depth
    assert number == kept if kept is not None else 0 < number < 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.inpaint(make_image(), hole(), "a"), "got nothing but black"),
        (
            lambda m: m.inpaint(make_image(), Image.new("L", (5, 5), 255), "a"),
            "got 5 × 5 pixels",
        ),
        (lambda m: m.inpaint([make_image()], [hole((0, 0))], ["a", "b"]), "the same length"),
        (lambda m: m.inpaint(make_image(), hole((0, 0)), "a", n=0), "n must be at least 1"),
        (lambda m: m.vary(make_image(), "a", keep=1.0), r"keep must be in \[0, 1\), got 1.0"),
        (lambda m: m.edit([make_image()] * 2, ["a"]), "got 2 images and 1 instructions"),
        (lambda m: m.edit(make_image(), "a", n=0), "n must be at least 1"),
        (lambda m: m.inpaint(make_image(), hole((0, 0)), "a", colour=3), "unknown setting colour"),
    ],
)
def test_invalid_edits_are_reported(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_instructions_follow_their_image_in_any_batch(model):
    images, options = [make_image(0), make_image(1)], {"n": 2, "seed": 5, "temperature": 1.0}
    scales = {"guidance_scale": 2.0, "image_guidance_scale": 1.0}
    drawn = model.edit(images, ["a", "b"], **options, **scales)
    prompts = [(Segment("image", i), Segment("text", t)) for i, t in zip(images, "ab", strict=True)]
    repeated = [prompt for prompt in prompts for _ in range(2)]
    again = model.generate(
        repeated, target="image", copies=[0, 1, 0, 1], seed=5, temperature=1.0, batch_size=1, **scales
    )
    assert [p.tobytes() for p in drawn] == [document[-1].content.tobytes() for document in again]
    assert drawn[0].tobytes() != drawn[1].tobytes()


def test_the_script_writes_images(tmp_path, capsys):
    tiny_model().save_pretrained(tmp_path / "model")
    make_image().save(tmp_path / "a.png")
    hole((0, 0)).save(tmp_path / "hole.png")
    given = ["--image", str(tmp_path / "a.png"), "--model", str(tmp_path / "model")]
    prompted = [*given, "--prompt", "a"]
    edit.main([*prompted, "--mask", str(tmp_path / "hole.png"), "--n", "2", "--out", str(tmp_path / "out")])
    edit.main([*prompted, "--keep", "0.5", "--out", str(tmp_path / "varied")])
    changed = ["--instruction", "remove it", "--out", str(tmp_path / "changed")]
    edit.main([*given, *changed, "--image-guidance-scale", "1"])
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert {path.name for path in (tmp_path / "changed").glob("*.png")} == {"00-remove-it-0.png", "sheet.png"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--prompt", "a"], "exactly one of --instruction TEXT, --mask FILE and --keep SHARE"),
        (["--keep", "0.5", "--instruction", "a"], "one of --instruction"),
        (["--keep", "0.5"], "--prompt must be given with --mask and --keep"),
        (["--instruction", "a", "--prompt", "a"], "absent with --instruction"),
    ],
)
def test_the_script_requires_exactly_one_method(more, message, capsys):
    with pytest.raises(SystemExit):
        edit.main(["--image", "a.png", *more])
    assert message in capsys.readouterr().err
