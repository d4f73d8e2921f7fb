"""What a look through a set finds."""

import pytest
from PIL import Image, ImageDraw

from tests.data.samples import Listed
from unitok.data.set_facts import has_even_border, inspect
from unitok.document import Segment


def pair(text, colour, side=40):
    return (Segment("text", text), Segment("image", Image.new("RGB", (side, side + 8), colour)))


def test_a_set_is_counted():
    train = Listed([pair("red", "red"), pair("a longer text", "blue", 64), pair("red", "white"), None])
    facts = inspect(train, Listed([pair("red", "red"), pair("red", "green")]))
    assert (facts.documents, facts.images, facts.texts, facts.distinct_texts) == (4, 3, 3, 2)
    assert (facts.side, facts.longest_text, facts.largest) == (40, 13, (1, 1))
    assert (facts.leaked, facts.held_out, facts.faults) == (1, 2, 0.25)


def test_an_image_with_another_text_is_a_leak():
    facts = inspect(Listed([pair("red", "red")]), Listed([pair("of one colour", "red"), pair("red", "blue")]))
    assert (facts.leaked, facts.held_out) == (1, 2)


def test_of_a_large_set_every_nth_document_is_read():
    facts = inspect(Listed([pair(f"text {number}", "red") for number in range(100)]), Listed([]), most=10)
    assert facts.images == facts.texts == 100 and facts.distinct_texts == 10


def test_images_alone_and_texts_alone():
    image = Listed([pair("", "red")[1:]] * 3)
    assert (inspect(image, image).texts, inspect(image, image).images) == (0, 3)
    text = Listed([pair("a", "red")[:1]] * 3)
    assert (inspect(text, text).texts, inspect(text, text).images) == (3, 0)


@pytest.mark.parametrize("even", [True, False])
def test_a_drawing_has_an_even_border(even):
    image = Image.new("RGB", (64, 64), "white") if even else Image.effect_noise((64, 64), 90).convert("RGB")
    ImageDraw.Draw(image).ellipse((10, 10, 50, 50), fill="red")
    assert has_even_border(image) == even
