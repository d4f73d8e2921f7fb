"""Boxes and points survive codes, ids, text and a model folder, and no illegal id gets between."""

import html
import json
import random
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_codecs import random_codes, tiny_codec
from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Codes, Segment, same
from unitok.modalities.geometry import (
    Box,
    Point,
    parse_boxes,
    write_box,
    write_point,
)
from unitok.modalities.location_bins import BoxModality, PointModality

LOCATIONS = (BoxModality(), PointModality())
CODECS = [tiny_codec(shape=(2, 3), positions=p, more=LOCATIONS) for p in ("grid", "sequential")]
shares = st.floats(0, 1)
two, four = st.tuples(shares, shares), st.tuples(shares, shares, shares, shares)


@settings(deadline=None)
@given(st.one_of(two, four), st.integers(2, 2000))
def test_a_place_comes_back_within_half_a_bin(numbers, bins):
    place = Point(*numbers) if len(numbers) == 2 else Box.between(*numbers)
    modality = (BoxModality if isinstance(place, Box) else PointModality)(bins)
    codes, shape = modality.encode(place)
    assert int(codes.min()) >= 0 and int(codes.max()) < modality.size == bins
    assert shape == (len(codes),) == (len(place.numbers),) == modality.largest_shape
    back = modality.decode(codes, shape)
    assert type(back) is type(place)
    assert all(abs(a - b) <= 0.5 / bins + 1e-12 for a, b in zip(place.numbers, back.numbers, strict=True))
    assert torch.equal(modality.encode(back)[0], codes)


@settings(deadline=None)
@given(st.lists(st.integers(0, 999), min_size=4, max_size=4))
def test_whatever_a_model_writes_is_a_box(codes):
    box = BoxModality().decode(torch.tensor(codes), (4,))
    assert box.left <= box.right and box.top <= box.bottom


def with_places(seed):
    rng = random.Random(seed)
    codec = CODECS[seed % 2]
    small = tiny_codec(shape=(2, 3), positions=codec.positions)
    segments = random_codes(small, rng)
    for _ in range(rng.randrange(4)):
        location = rng.choice(LOCATIONS)
        codes = torch.tensor([rng.randrange(1000) for _ in range(location.shape[0])])
        segments.insert(rng.randint(0, len(segments)), Codes(location.name, codes, location.shape))
    return codec, segments


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_documents_with_places_survive_join_and_split_and_the_cursor_agrees(seed):
    codec, segments = with_places(seed)
    tokens = codec.join(segments)
    back = codec.split(tokens.ids)
    assert len(back) == len(segments) and all(map(same, segments, back))
    cursor = codec.cursor()
    for token, position in zip(tokens.ids.tolist(), tokens.positions.tolist(), strict=True):
        assert cursor.position == tuple(position) and token in cursor.legal
        cursor.push(token)
    assert cursor.done


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_the_cursor_lets_no_other_id_into_a_place(seed):
    rng = random.Random(seed)
    codec, location = rng.choice(CODECS), rng.choice(LOCATIONS)
    vocabulary, cursor = codec.vocabulary, codec.cursor()
    for token in (vocabulary.document_begin, vocabulary.begin(location.name)):
        cursor.push(token)
    for _ in range(location.shape[0]):
        legal = cursor.legal
        assert legal == vocabulary.codes(location.name)
        with pytest.raises(ValueError, match="must be one of"):
            cursor.push(rng.choice([i for i in range(vocabulary.size) if i not in legal]))
        cursor.push(rng.choice(legal))
    assert cursor.legal == (vocabulary.end(location.name),)


def test_places_come_after_all_other_ids():
    small, large = tiny_codec(shape=(2, 3)), CODECS[0]
    assert large.vocabulary.size == small.vocabulary.size + 2 * 1002
    rng = random.Random(1)
    for _ in range(100):
        codes = random_codes(small, rng)
        assert torch.equal(small.join(codes).ids, large.join(codes).ids)


def test_a_corner_shares_a_row_and_an_axis_a_column():
    assert BoxModality().grid((4,)).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert PointModality().grid((2,)).tolist() == [[0, 0, 0], [0, 0, 1]]


def test_near_bins_start_near():
    features = BoxModality().features()
    near, far = (float((features[300] - features[i]).norm()) for i in (301, 700))
    assert near < far / 3 and len(features) == 1000


@settings(deadline=None)
@given(two, st.text())
def test_points_survive_text(numbers, name):
    point = Point(*numbers)
    text = f"Here: {write_point(point, name)} and more"
    x, y, alt = re.fullmatch(
        r'Here: <point x="(.*?)" y="(.*?)" alt="(.*)"> and more', text, re.DOTALL
    ).groups()
    assert html.unescape(alt) == name and "<" not in alt
    assert abs(float(x) / 100 - point.x) <= 0.0005 + 1e-9 and abs(float(y) / 100 - point.y) <= 0.0005 + 1e-9


@settings(deadline=None)
@given(st.lists(four, max_size=4))
def test_boxes_survive_text(numbers):
    boxes = [Box.between(*each) for each in numbers]
    back = parse_boxes("; ".join(map(write_box, boxes)))
    assert len(back) == len(boxes)
    for a, b in zip(boxes, back, strict=True):
        assert all(abs(x - y) <= 0.0005 + 1e-9 for x, y in zip(a.numbers, b.numbers, strict=True))


def test_forms_of_text():
    assert parse_boxes("<box>( 500, 1000),(100 ,250)</box> <box>(0,0),(0,1001)</box> <box>(1,2)</box>") == [
        Box(0.1, 0.25, 0.5, 1.0)
    ]
    assert parse_boxes("") == []


def test_pixels():
    box = Box.of_pixels((-4.0, 10.0, 30.0, 99.0), 40, 50)
    assert box == Box(0, 0.2, 0.75, 1) and box.pixels(40, 50) == (0, 10, 30, 50)
    assert Point(0.5, 0.25).pixels(40, 60) == (20, 15)


@pytest.mark.parametrize(
    "kind, numbers", [(Point, (0.5, 1.1)), (Point, (-0.1, 0)), (Box, (0.6, 0, 0.5, 1)), (Box, (0, 0, 1, 2))]
)
def test_places_outside_the_image_are_refused(kind, numbers):
    with pytest.raises(ValueError, match=r"at most|in \[0, 1\]"):
        kind(*numbers)


def test_foreign_content_and_shapes_are_refused():
    with pytest.raises(ValueError, match="the box must be a Box, got Point"):
        BoxModality().encode(Point(0, 0))
    with pytest.raises(ValueError, match=r"the box must have \(4,\) codes"):
        CODECS[0].join([Codes("box", torch.tensor([1, 2]), (2,))])
    with pytest.raises(ValueError, match="bins must be at least 2, got 1"):
        PointModality(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    tiny_model(more=[BoxModality(50), PointModality(20)]).save_pretrained(folder)
    return UniTok.from_pretrained(folder, verify=True)


def test_a_model_with_places_comes_back_from_its_folder(model):
    before = tiny_model(more=[BoxModality(50), PointModality(20)])
    assert model.codec.fingerprint() == before.codec.fingerprint()
    prompt = (Segment("text", "where?"),)
    for target, kind in (("box", Box), ("point", Point)):
        (document,) = model.generate([prompt], target=target)
        assert isinstance(document[-1].content, kind)
        assert document == before.generate([prompt], target=target)[0]
        (update,) = model.stream(prompt, target=target)
        assert update.done and update.content == document[-1].content


def test_folders_from_before_there_were_places_still_open_and_wrong_places_are_named(tmp_path):
    for locations, message in (
        (None, None),
        ({"boxes": {}}, "box, point"),
        ({"box": {"bins": 1}}, "at least 2"),
    ):
        tiny_model().save_pretrained(tmp_path / "m")
        config = json.loads((tmp_path / "m/config.json").read_text())
        assert config.pop("locations") == {}
        if locations is not None:
            config["locations"] = locations
        (tmp_path / "m/config.json").write_text(json.dumps(config))
        if message is None:
            assert list(UniTok.from_pretrained(tmp_path / "m").codec.modalities) == ["text", "image"]
        else:
            with pytest.raises(ValueError, match=rf"config.json: .*{message}"):
                UniTok.from_pretrained(tmp_path / "m")


def test_a_model_may_choose_places_and_score_them(model):
    (written,) = model.generate([()], temperature=1.0, max_new_tokens=3, max_segments=6)
    assert {segment.modality for segment in written} <= {"text", "image", "box", "point"}
    (score,) = model.score([(Segment("text", "where?"), Segment("box", Box(0.1, 0.2, 0.3, 0.4)))])
    assert score.count == 4 and score.log_probability < 0
