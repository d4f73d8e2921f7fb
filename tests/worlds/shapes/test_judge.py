"""The judge of the shapes world accepts true renders, and rejects wrong captions and images."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.captions import captions, parse_caption
from unitok.worlds.shapes.judge import caption_is_true, image_is_right, judge, satisfies
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.scenes import KINDS, sample, sample_scene
from unitok.worlds.shapes.world import COLOURS, RELATIONS, SHAPES, SIZES, Scene, SceneObject

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
worlds = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "canvas": st.sampled_from([48, 64]),
        "kind": st.sampled_from(KINDS),
        "held_out": st.booleans(),
    }
)


def names(objects):
    return sorted(item.name for item in objects)


@pytest.mark.parametrize("canvas", [48, 64])
@pytest.mark.parametrize("held_out", [False, True])
def test_right_on_a_thousand_true_renders(canvas, held_out):
    right = 0
    for seed in range(TEST_SEED, TEST_SEED + 1000):
        scene, caption = sample(seed, canvas=canvas, held_out=held_out)
        found = judge(render(scene))
        right += names(found) == names(scene.objects) and satisfies(found, caption, canvas)
    assert right >= 995


@settings(max_examples=60)
@given(worlds)
def test_every_true_caption_is_satisfied_and_the_origins_are_exact(world):
    scene = sample_scene(**world)
    found = judge(render(scene))
    assert {(o.name, o.x, o.y) for o in found} == {(o.name, o.x, o.y) for o in scene.objects}
    assert all(satisfies(found, caption, scene.canvas) for caption in captions(scene))


def wrong_captions(caption: str) -> list[str]:
    """The caption with one word changed: another colour, shape, size or number, or the opposite relation."""
    wrong = []
    for words in (tuple(COLOURS), SHAPES, tuple(SIZES), ("two", "three")):
        for a in words:
            wrong += [caption.replace(a, b, 1) for b in words if a in caption and a != b]
    relation = parse_caption(caption).relation
    return wrong + ([caption.replace(relation, OPPOSITE[relation])] if relation else [])


@settings(max_examples=60)
@given(worlds)
def test_wrong_captions_are_refused(world):
    scene, caption = sample(**world)
    found = judge(render(scene))
    for wrong in wrong_captions(caption):
        assert wrong not in captions(scene)
        assert not satisfies(found, wrong, scene.canvas), wrong
        assert not caption_is_true(wrong, scene)


def with_another(scene: Scene) -> Scene | None:
    """The scene and a small red circle at the first place that is free."""
    for x, y in product(range(8, scene.canvas - 7, 3), repeat=2):
        if all(max(abs(o.x - x), abs(o.y - y)) > 9 + SIZES[o.size] for o in scene.objects):
            return replace(scene, objects=(*scene.objects, SceneObject("circle", "red", "small", x, y)))
    return None


@settings(max_examples=60)
@given(worlds)
def test_an_extra_or_a_missing_object_is_refused(world):
    scene, caption = sample(**world)
    assert not satisfies([], caption, scene.canvas)
    assert not satisfies(judge(render(scene))[1:], caption, scene.canvas)
    fuller = with_another(scene)
    assert fuller is None or not image_is_right(render(fuller), caption)


@pytest.mark.parametrize("canvas", [48, 64])
def test_a_place_must_be_the_named_one(canvas):
    for seed in range(200):
        scene, caption = sample(seed, canvas=canvas, kind="one")
        place = parse_caption(caption).place
        if place:
            plain = caption.removesuffix(f" at the {place}")
            told = [p for p in ("top left", "center", "bottom right", "top") if p != place]
            assert not any(image_is_right(render(scene), f"{plain} at the {p}") for p in told)


def test_a_place_is_judged_with_a_pixel_and_a_half_of_tolerance():
    def at(x):
        return [SceneObject("circle", "red", "small", x, 32)]

    caption = "a small red circle at the left"
    assert [satisfies(at(x), caption, 64) for x in (10, 21, 22.5, 23, 24)] == [True, True, True, False, False]


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_needs_its_distance(relation):
    dx, dy = RELATIONS[relation]
    anchor = SceneObject("star", "blue", "large", 32, 32)
    near, far = (SceneObject("circle", "red", "small", 32 + dx * d, 32 + dy * d) for d in (10, 20))
    caption = f"a small red circle {relation} a large blue star"
    assert satisfies([near, anchor], caption, 64) is False
    assert satisfies([anchor, far], caption, 64) is True


@settings(max_examples=60)
@given(worlds)
def test_noise_and_specks_do_not_matter(world):
    scene = sample_scene(**world)
    small_stars = any(o.shape == "star" and o.size == "small" for o in scene.objects)
    assume(scene.canvas > 48 or not small_stars)  # of some thirty pixels, most on their edge
    rng = np.random.default_rng(world["seed"])
    noisy = render(scene) + rng.normal(0, 6, (scene.canvas, scene.canvas, 3))
    noisy[0, :3] = (0, 0, 0)
    found = judge(noisy.clip(0, 255).astype(np.uint8))
    assert names(found) == names(scene.objects)


def test_soft_pictures_are_still_read():
    """A tokenizer's reconstruction is a little soft (at 48 pixels small stars then lose their colour)."""
    for seed in range(200):
        scene, caption = sample(seed, canvas=64)
        soft = Image.fromarray(render(scene)).filter(ImageFilter.GaussianBlur(0.5))
        assert image_is_right(np.asarray(soft), caption)


def test_touching_objects_are_one_and_a_huge_one_does_not_fit():
    image = np.full((64, 64, 3), 250, np.uint8)
    image[5:60, 5:60] = COLOURS["blue"]
    (found,) = judge(image)
    assert found.colour == "blue" and found.overlap < 0.3


def test_an_empty_picture_shows_nothing():
    assert judge(np.full((48, 48, 3), 250, np.uint8)) == []


@pytest.mark.parametrize("shape", [(64, 48, 3), (48, 64, 3), (48, 48, 4)])
def test_only_square_colour_pictures_are_judged(shape):
    with pytest.raises(ValueError, match=r"image must be square"):
        judge(np.zeros(shape, np.uint8))


def test_a_caption_of_another_language_is_an_error_for_pictures_and_false_for_scenes():
    with pytest.raises(ValueError, match="not a caption"):
        satisfies([], "a dog on a sofa", 48)
    for text in ("a dog on a sofa", "", "A SMALL RED CIRCLE", "a small red circle."):
        assert not caption_is_true(text, sample_scene(0))


@settings(max_examples=60)
@given(worlds)
def test_any_true_caption_of_a_scene_is_right(world):
    scene, caption = sample(**world)
    assert all(caption_is_true(text, scene) for text in captions(scene))
    assert not caption_is_true(caption + " ", scene)


def test_scene_order_does_not_matter():
    scene = sample_scene(3, kind="three")
    turned = Scene(scene.objects[::-1], scene.canvas)
    assert set(captions(scene)) == set(captions(turned))
