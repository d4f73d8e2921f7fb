"""Likelihoods are those of the model's own steps, add up to one, and do not depend on the batch."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.document import Codes, Segment
from unitok.generation.likelihood import log_probabilities, scores

MODELS = {"one size": {"shape": (2, 3)}, "any size": {"shape": None}}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return tiny_model(**MODELS[request.param])


def make_image(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8))


def documents():
    return [
        (Segment("text", "a dog"), Segment("image", make_image(1))),
        (Segment("image", make_image(2)), Segment("text", "xyz")),
        (Segment("image", make_image(3)), Segment("text", "a"), Segment("image", make_image(4))),
        (Segment("text", ""),),
    ]


@torch.no_grad()
def by_steps(model, document) -> tuple[float, int]:
    """log p of the last segment, one id after the other, without packing, padding or groups."""
    codes, total, count = model.codec.encode(document), 0.0, 0
    tokens, cursor = model.codec.join(codes), model.codec.cursor()
    start = len(model.codec.join(codes[:-1], open=codes[-1].modality))
    for place, token in enumerate(tokens.ids[:-1].tolist()):
        if place >= start and len(cursor.legal) > 1:
            hidden = model.model(tokens.ids[None, :place], tokens.positions[None, :place])[0, -1]
            logits = model.model.head(hidden, cursor.legal).double()
            total += float(logits.log_softmax(-1)[list(cursor.legal).index(token)])
            count += 1
        cursor.push(token)
    return total, count


def test_scores_are_those_of_the_models_own_steps(model):
    for actual, document in zip(model.score(documents()), documents(), strict=True):
        total, count = by_steps(model, document)
        assert actual.log_probability == pytest.approx(total, abs=1e-3) and actual.count == count
        assert actual.per_id == pytest.approx(total / count, abs=1e-3)


def test_log_probabilities_of_single_ids_add_up_to_the_score(model):
    for actual, document in zip(model.score(documents()), documents(), strict=True):
        codes = model.codec.encode(document)
        header, rest = log_probabilities(model.model, model.codec, codes)
        modality = model.codec.modalities[codes[-1].modality]
        assert len(header) == modality.header_length
        assert len(rest) == len(codes[-1].codes) + modality.open_ended
        assert float(header.sum() + rest.sum()) == pytest.approx(actual.log_probability, abs=1e-3)


def test_log_probabilities_are_in_the_order_of_the_codes(model):
    codes = model.codec.encode((Segment("text", "a dog"), Segment("image", make_image(1))))
    changed = codes[-1].codes.clone()
    changed[3] = (changed[3] + 1) % 16
    _, before = log_probabilities(model.model, model.codec, codes)
    again = Codes("image", changed, codes[-1].shape)
    _, after = log_probabilities(model.model, model.codec, [codes[0], again])
    assert torch.allclose(before[:3], after[:3], atol=1e-6) and before[3] != after[3]


def test_scores_do_not_depend_on_the_batch(model):
    whole, single = model.score(documents()), model.score(documents(), batch_size=1)
    for a, b in zip(whole, single, strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-3) and a.count == b.count


def test_any_segment_can_be_judged_after_the_others(model):
    text, image = Segment("text", "a dog"), Segment("image", make_image(1))
    assert model.score([(text, image)], of=0) == model.score([(image, text)])


def test_probabilities_of_all_images_add_up_to_one():
    model = tiny_model(shape=(1, 2))
    pairs = torch.cartesian_prod(torch.arange(16), torch.arange(16))
    prompt = model.codec.encode((Segment("text", "a dog"),))
    actual = scores(model.model, model.codec, [[*prompt, Codes("image", pair, (1, 2))] for pair in pairs])
    assert sum(np.exp(score.log_probability) for score in actual) == pytest.approx(1, abs=1e-4)


def test_what_cannot_be_judged_is_named(model):
    with pytest.raises(ValueError, match="a document of 1 segments has no segment 1"):
        model.score([(Segment("text", "a"),)], of=1)
    with pytest.raises(ValueError, match="at most 200 ids"):
        model.score([(Segment("text", "a" * 300),)])


def test_a_device_without_float64_judges_alike(model, monkeypatch):
    document = [(Segment("image", make_image(1)), Segment("text", "a dog"))]
    (exact,) = model.score(document)
    asked = []
    monkeypatch.setattr(
        "unitok.generation.likelihood.widest_float", lambda device: asked.append(device) or torch.float32
    )
    (actual,) = model.score(document)
    assert actual.log_probability == pytest.approx(exact.log_probability, rel=1e-5) and asked


# ---- choices


def test_classes_are_the_softmax_of_the_labels_scores(model):
    labels, templates = ["cat", "dog", "bird"], ["a {}", "the {}"]
    (actual,) = model.classify(make_image(1), labels, templates=templates)
    assert list(actual) == labels and sum(actual.values()) == pytest.approx(1)
    means = []
    for label in labels:
        pairs = [(Segment("image", make_image(1)), Segment("text", t.format(label))) for t in templates]
        means.append(np.mean([score.log_probability for score in model.score(pairs)]))
    expected = np.exp(means) / np.exp(means).sum()
    assert list(actual.values()) == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("labels", "templates"), [(["a"], ["{}"]), (["a", "a"], ["{}"]), (["a", "b"], ["a"])]
)
def test_labels_that_leave_no_choice_are_refused(model, labels, templates):
    with pytest.raises(ValueError, match=r"labels must be at least two|templates must be texts with"):
        model.classify(make_image(1), labels, templates=templates)


def test_ranks_are_by_the_texts_likelihood(model):
    images = [make_image(seed) for seed in range(4)]
    actual = model.rank(images, "a dog")
    direct = [
        s.log_probability
        for s in model.score([(Segment("image", i), Segment("text", "a dog")) for i in images])
    ]
    assert [number for number, _ in actual] == sorted(range(4), key=lambda i: -direct[i])


def test_mutual_information_is_what_the_image_adds_to_the_text(model):
    images, texts = [make_image(1), make_image(2)], ["a dog", "xyz", ""]
    actual = model.mutual_information(images, texts)
    for image, row in zip(images, actual, strict=True):
        for text, value in zip(texts, row, strict=True):
            alone, after = model.score(
                [(Segment("text", text),), (Segment("image", image), Segment("text", text))]
            )
            assert value == pytest.approx(after.log_probability - alone.log_probability, abs=1e-3)


def test_the_best_of_several_drawings_is_returned():
    model = tiny_model()
    many = model.draw(["a dog", "b"], n=6, seed=4)
    best = model.draw(["a dog", "b"], n=2, best_of=3, seed=4)
    assert len(best) == 4
    for place, prompt in enumerate(["a dog", "a dog", "b", "b"]):
        three = many[place * 3 : place * 3 + 3]
        number, _ = model.rank(three, prompt)[0]
        assert best[place].tobytes() == three[number].tobytes()
    with pytest.raises(ValueError, match="best_of must be at least 1, got 0"):
        model.draw("a dog", best_of=0)
