"""A model that sees, by the official `openai` client: no request differs from those to any other model."""

import concurrent.futures

import pytest
from PIL import Image

from tests.generation.test_likelihood import make_image
from tests.tiny_model import tiny_model
from unitok.document import Segment
from unitok.modalities.vision import VisionConfig
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Patches

pytest.importorskip("openai", reason="openai is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
clients = pytest.importorskip("tests.server.test_app_clients")
QUESTION = "which colour?"
KINDS = {
    "an image": (VisionConfig(Latents(size=(16, 24)), Projector(hidden=8)), 24),
    "tiles": (VisionConfig(Patches(16, size=(48, 48)), Projector(hidden=8), tiles=8), 9 * (1 + 2 * 4)),
}
"""What the model sees with, and the number of vectors of an image of 200 x 96 pixels."""


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def model(kind):
    model = tiny_model(vision=KINDS[kind][0])
    model.model.bridge.layers.scale_to(5.0)
    return model


@pytest.fixture(scope="module")
def client(model):
    with serving.running(model) as server:
        yield clients.client_of(server)


def test_equal_questions_about_different_images_are_answered_as_alone(kind, model, client):
    images = [make_image(seed).resize((200, 96)) for seed in range(4)]
    create = client.chat.completions.create

    def ask(image: Image.Image):
        messages = [clients.message_of(image, QUESTION)]
        return create(model="unitok", messages=messages, max_tokens=6, temperature=0)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(ask, images))
    documents = [(Segment("image", image), Segment("text", QUESTION)) for image in images]
    options = {"target": "text", "temperature": 0.0, "max_new_tokens": 6}
    expected = [document[-1].content for document in model.generate(documents, **options)]
    assert [answer.choices[0].message.content for answer in answers] == expected
    assert {answer.usage.prompt_tokens for answer in answers} == {KINDS[kind][1] + len(QUESTION)}


def test_an_image_is_edited(client):
    edited = client.images.edit(image=clients.file_of(make_image(1)), prompt="make it red", model="unitok")
    assert clients.image_of(edited.data[0]).size == (12, 8)
