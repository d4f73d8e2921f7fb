"""The shapes world: placing rules, true captions, and images that show them."""

import pickle
from itertools import combinations
from math import dist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from unitok.worlds.seeded import SPLIT_SEEDS, TEST_SEED, VALIDATION_SEED
from unitok.worlds.shapes.captions import Claim, captions, claim_holds, parse_caption
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.scenes import KINDS, ShapesSource, sample, sample_scene
from unitok.worlds.shapes.world import (
    BACKGROUND,
    COLOURS,
    HELD_OUT,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
)

worlds = st.fixed_dictionaries(
    {"canvas": st.sampled_from([48, 64]), "kind": st.sampled_from(KINDS), "held_out": st.booleans()}
)
seeds = st.integers(0, 3 * SPLIT_SEEDS - 1)


@given(seeds, worlds)
def test_a_seed_is_a_scene_forever(seed, world):
    assert sample(seed, **world) == sample(seed, **world)
    assert sample_scene(seed, **world) == sample(seed, **world).scene


def test_the_first_scenes_do_not_change():
    assert [sample(seed, canvas=48).caption for seed in range(4)] == FIRST_CAPTIONS


@given(seeds, worlds)
def test_objects_lie_inside_and_apart(seed, world):
    scene = sample_scene(seed, **world)
    scale = scene.canvas / 64
    for item in scene.objects:
        assert item.x == int(item.x) and item.y == int(item.y)
        assert min(item.x, item.y, scene.canvas - item.x, scene.canvas - item.y) >= SIZES[item.size] * scale
    for a, b in combinations(scene.objects, 2):
        reach = (SIZES[a.size] + SIZES[b.size]) * scale
        assert max(abs(a.x - b.x), abs(a.y - b.y)) - reach >= 2


@given(seeds, worlds)
def test_the_number_and_looks_of_objects_follow_the_kind(seed, world):
    scene = sample_scene(seed, **world)
    kind = world["kind"]
    assert (
        len(scene.objects) in {"one": [1], "two": [2], "three": [3], "counting": [2, 3], "demo": [1, 2]}[kind]
    )
    looks = {(item.shape, item.colour) for item in scene.objects}
    assert len(looks) == (1 if kind == "counting" else len(scene.objects))
    assert kind != "counting" or len({item.size for item in scene.objects}) == 1


@given(seeds, worlds)
def test_held_out_compositions_occur_exactly_where_asked(seed, world):
    scene = sample_scene(seed, **world)
    assert any((o.shape, o.colour) in HELD_OUT for o in scene.objects) == world["held_out"]


def test_every_seen_and_held_out_look_occurs():
    seen = {(o.shape, o.colour) for i in range(600) for o in sample_scene(i).objects}
    assert seen == {(s, c) for s in SHAPES for c in COLOURS} - set(HELD_OUT)
    held = {(o.shape, o.colour) for i in range(100) for o in sample_scene(i, held_out=True).objects}
    assert set(HELD_OUT) <= held


@given(seeds, worlds)
def test_every_caption_is_true_and_the_chosen_one_is_among_them(seed, world):
    scene, chosen = sample(seed, **world)
    written = captions(scene)
    assert chosen in written and len(set(written)) == len(written)
    for caption in written:
        assert claim_holds(parse_caption(caption), scene.objects, scene.canvas)


@given(seeds, worlds)
def test_the_captions_are_complete(seed, world):
    """Every sentence about a scene that holds with room to spare is listed, and none that fails."""
    scene = sample_scene(seed, **world)
    written = {(c.place, c.relation, c.names) for c in map(parse_caption, captions(scene))}
    names = [tuple(item.name for item in scene.objects)]
    names += [names[0][::-1]] if len(names[0]) == 2 and names[0][0] != names[0][1] else []
    for order in names:
        for place in [p for row in PLACES for p in row] if len(order) == 1 else []:
            if claim_holds(Claim(order, place=place), scene.objects, scene.canvas, tolerance=-2):
                assert (place, None, order) in written
        for relation in RELATIONS if len(set(order)) == 2 == len(order) else []:
            holds = claim_holds(Claim(order, relation=relation), scene.objects, scene.canvas)
            assert ((None, relation, order) in written) == holds


@pytest.mark.parametrize("kind", ["two", "demo"])
@pytest.mark.parametrize("canvas", [48, 64])
def test_two_objects_always_have_a_true_relation_either_way(kind, canvas):
    for seed in range(300):
        scene = sample_scene(seed, kind=kind, canvas=canvas)
        if len(scene.objects) == 2:
            relations = {parse_caption(caption).relation for caption in captions(scene)}
            assert relations in ({"left of", "right of"}, {"above", "below"})


def test_the_demo_mix():
    texts = [sample(seed, canvas=48).caption for seed in range(4000)]
    one = [text for text in texts if parse_caption(text).relation is None]
    assert abs(len(one) / len(texts) - 0.45) < 0.03
    assert abs(sum(parse_caption(text).place is not None for text in one) / len(one) - 0.5) < 0.04


@pytest.mark.parametrize(
    ("caption", "claim"),
    [
        ("a small red circle", Claim(("small red circle",))),
        ("a large gray star at the top left", Claim(("large gray star",), place="top left")),
        (
            "a small red circle left of a large blue square",
            Claim(("small red circle", "large blue square"), relation="left of"),
        ),
        (
            "a small red circle, a large blue square and a small green star",
            Claim(("small red circle", "large blue square", "small green star")),
        ),
        ("two small red circles", Claim(("small red circle",) * 2)),
        ("three large blue stars", Claim(("large blue star",) * 3)),
    ],
)
def test_the_sentences_of_the_world_parse(caption, claim):
    assert parse_caption(caption) == claim


@pytest.mark.parametrize(
    "text",
    ["", "small red circle", "A small red circle", "a small red circle.", "a small red circle ",
     "a red circle", "a small pink circle", "a small red circle at the middle", "two small red circle",
     "four small red circles", "a small red circle left of", "a small red circle\n",
     "a small red circle and a large blue square"],
)  # fmt: skip
def test_other_texts_do_not_parse(text):
    assert parse_caption(text) is None


@given(st.text(alphabet="a smalredcif,t\n", max_size=40))
def test_parsing_never_fails(text):
    assert parse_caption(text) is None or isinstance(parse_caption(text), Claim)


def test_claims_know_more_than_names():
    scene = Scene(
        (SceneObject("circle", "red", "small", 12, 30), SceneObject("star", "blue", "large", 45, 30)), 64
    )
    for text, holds in [
        ("a small red circle left of a large blue star", True),
        ("a large blue star right of a small red circle", True),
        ("a small red circle right of a large blue star", False),
        ("a small red circle above a large blue star", False),
        ("a small red circle", False),
        ("two small red circles", False),
    ]:
        assert claim_holds(parse_caption(text), scene.objects, 64) == holds, text


# ---- images


def drawn_by_pillow(scene: Scene) -> np.ndarray:
    """The same scene by other means: Pillow's own polygons and ellipses at 8 ×, reduced by its box filter."""
    times = 8
    image = Image.new("RGB", (scene.canvas * times,) * 2, BACKGROUND)
    draw = ImageDraw.Draw(image)
    for item in scene.objects:
        r, x, y = SIZES[item.size] * scene.canvas / 64, item.x, item.y
        angles = [i * np.pi / 5 for i in range(10)]
        star = [
            ((0.42 if i % 2 else 1) * np.sin(a), -(0.42 if i % 2 else 1) * np.cos(a))
            for i, a in enumerate(angles)
        ]
        corners = {
            "circle": [(np.sin(a), np.cos(a)) for a in np.linspace(0, 2 * np.pi, 90)],
            "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
            "triangle": [(0, -1), (0.95, 0.8), (-0.95, 0.8)],
            "star": star,
        }[item.shape]
        points = [((x + r * u) * times - 0.5, (y + r * v) * times - 0.5) for u, v in corners]
        draw.polygon(points, fill=COLOURS[item.colour])
    return np.asarray(image.reduce(times))


@settings(max_examples=60, deadline=None)
@given(seeds, worlds)
def test_pictures_agree_with_pillow(seed, world):
    scene = sample_scene(seed, **world)
    ours, theirs = render(scene).astype(int), drawn_by_pillow(scene).astype(int)
    assert ours.shape == (scene.canvas, scene.canvas, 3)
    assert np.abs(ours - theirs).mean() < 1.5
    assert np.abs(ours - theirs).max() < 130  # half a pixel of an edge, at the most


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", COLOURS)
def test_an_object_has_its_colour_inside_and_the_background_outside(shape, colour):
    image = render(Scene((SceneObject(shape, colour, "large", 24, 30),), 64))
    assert tuple(image[30, 24]) == COLOURS[colour]
    far = [(y, x) for y in range(64) for x in range(64) if dist((y + 0.5, x + 0.5), (30, 24)) > 15.5]
    assert all(tuple(image[y, x]) == BACKGROUND for y, x in far)


def test_rendering_leaves_no_trace_in_the_next_picture():
    first = render(sample_scene(1))
    render(sample_scene(2))[:] = 0
    assert np.array_equal(first, render(sample_scene(1)))


@pytest.mark.parametrize("x, y", [(6, 30), (30, 58)])
def test_objects_outside_the_canvas_are_an_error(x, y):
    with pytest.raises(ValueError, match="does not lie inside a canvas of 64"):
        render(Scene((SceneObject("circle", "red", "small", x, y),), 64))


# ---- the source


def test_the_source_gives_caption_then_picture():
    source = ShapesSource(first_seed=VALIDATION_SEED + 5, count=3, canvas=48)
    text, image = source[2]
    assert (text.modality, image.modality) == ("text", "image")
    assert text.content == sample(VALIDATION_SEED + 7, canvas=48).caption
    assert np.array_equal(np.asarray(image.content), render(source.scene(2)))
    assert image.content.mode == "RGB" and image.content.size == (48, 48)
    assert len(list(source[i] for i in range(3))) == len(source) == 3


def test_the_source_survives_pickling():
    source = pickle.loads(pickle.dumps(ShapesSource(count=4, kind="two")))
    assert source.scene(3) == sample_scene(3, kind="two")


def test_the_source_ends():
    source = ShapesSource(count=3)
    with pytest.raises(IndexError, match="index 3 of a source of 3"):
        source[3]
    assert source[-1][0] == source[2][0]
    assert len(list(iter(source))) == 3


@pytest.mark.parametrize(
    "first, count", [(0, 0), (SPLIT_SEEDS - 1, 2), (TEST_SEED - 10, 11), (-5, 10), (-5, 3)]
)
def test_seeds_never_leave_their_split(first, count):
    with pytest.raises(ValueError, match="seed"):
        ShapesSource(first_seed=first, count=count)


@pytest.mark.parametrize("wrong", [{"kind": "four"}, {"canvas": 32}])
def test_wrong_arguments_fail_at_once(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        ShapesSource(**wrong)


FIRST_CAPTIONS = [
    "a small red star left of a large purple square",
    "a large blue star at the left",
    "a large cyan star below a large green circle",
    "a small green triangle",
]
