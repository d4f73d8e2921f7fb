"""Made-up words: known only from the examples, and the attainable accuracy."""

import pickle
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.few_shot import measure
from tests.cases import cases
from tests.tiny_model import tiny_model
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.document import Segment
from unitok.worlds.seeded import SPLIT_SEEDS, TEST_SEED
from unitok.worlds.shapes.naming import TRAITS, WORDS, ShapesNaming, attainable_accuracy, name_scenes

seeds = st.integers(0, 3 * SPLIT_SEEDS - 1)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(list(TRAITS)), st.integers(2, 4))
def test_a_word_means_one_value_in_its_document(seed, trait, classes):
    named = name_scenes(seed, images=6, classes=classes, trait=trait, canvas=48)
    meant = {(one.word, getattr(one.scene.objects[0], trait)) for one in named}
    assert len({word for word, _ in meant}) == len({value for _, value in meant}) == len(meant) <= classes
    assert [one.known for one in named] == [
        one.word in [other.word for other in named[:i]] for i, one in enumerate(named)
    ]
    assert named == name_scenes(seed, images=6, classes=classes, trait=trait, canvas=48)


def test_nothing_but_the_examples_tells_a_word():
    documents = [name_scenes(seed, images=3, canvas=48) for seed in range(600)]
    first = Counter(one[0].word for one in documents)
    assert set(first) == set(WORDS) and max(first.values()) < 600 / 16 * 1.7
    meanings = {(one.word, one.scene.objects[0].colour) for document in documents for one in document}
    assert len(meanings) == len(WORDS) * len(TRAITS["colour"])  # any word may mean any colour
    again = sum(document[2].word == document[1].word for document in documents) / 600
    assert abs(again - 0.5) < 0.07  # the word before does not tell the next
    alike = [document for document in documents if document[0].word == document[1].word]
    assert abs(sum(d[2].word == d[1].word for d in alike) / len(alike) - 0.5) < 0.1


def test_true_words_are_all_known():
    made_up, true = (name_scenes(5, images=6, classes=4, canvas=48, made_up=flag) for flag in (True, False))
    assert [one.scene for one in true] == [one.scene for one in made_up]
    assert all(one.known and one.word == one.scene.objects[0].colour for one in true)
    assert not {one.word for one in made_up} & set(TRAITS["colour"])


def test_words_that_the_examples_explain_are_learned_and_nothing_else():
    source = pickle.loads(pickle.dumps(ShapesNaming(count=20, canvas=48, pictures=4)))
    for index in range(20):
        document, named = source[index], source.named_scenes(index)
        assert [segment.modality for segment in document] == ["image", "text"] * 4
        assert not any(image.learn for image in document[::2])
        assert [word.content for word in document[1::2]] == [one.word for one in named]
        assert [word.learn for word in document[1::2]] == [one.known for one in named]
    codec = tiny_model(more=()).codec
    packed = PackedDocuments(EncodedSource(source, codec), codec, row_length=80, task="chat")
    batch = packed[DocumentBatch(0, [0])]
    learned = [one.word for one in source.named_scenes(0) if one.known]
    letters = sum(len(codec.encode((Segment("text", word),))[0].codes) for word in learned)
    assert (
        int((batch.targets != -100).sum()) == letters + 2 * len(learned) + 1
    )  # begins, ends, the document's


def test_what_is_seen_may_be_said_before_it_is_named():
    said, source = (ShapesNaming(count=20, canvas=48, pictures=4, said=flag) for flag in (True, False))
    for index in range(20):
        colours = [one.scene.objects[0].colour for one in source.named_scenes(index)]
        words = [
            f"{colour} {word.content}" for colour, word in zip(colours, source[index][1::2], strict=True)
        ]
        assert [word.content for word in said[index][1::2]] == words
        assert [word.learn for word in said[index][1::2]] == [word.learn for word in source[index][1::2]]
    words = ShapesNaming(count=20, canvas=48, pictures=4, said=True, shown=False)
    assert [words[index] for index in range(20)] == [said[index][1::2] for index in range(20)]


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_the_attainable_is_what_a_perfect_player_reaches(classes):
    rng, games = Random(0), 20_000
    for examples in (0, 1, 2, 4):
        right = 0
        for _ in range(games):
            words = rng.sample(WORDS, classes)
            shown = {number: words[number] for number in (rng.randrange(classes) for _ in range(examples))}
            asked = rng.randrange(classes)
            unused = [word for word in WORDS if word not in shown.values()]
            right += shown.get(asked, rng.choice(unused)) == words[asked]
        assert right / games == pytest.approx(attainable_accuracy(examples, classes=classes), abs=0.015)


class Player:
    """Answers as a model would, by a rule on the colours and words of a prompt's document."""

    def __init__(self, source, rule):
        self.rule = rule
        self.colours = {}
        for index in range(len(source)):
            for image, one in zip(source[index][::2], source.named_scenes(index), strict=True):
                self.colours[image.content.tobytes()] = one.scene.objects[0].colour

    def generate(self, prompts, *, target, batch_size):
        assert target == "text"
        return [(*prompt, Segment("text", self._word(prompt))) for prompt in prompts]

    def _word(self, prompt):
        colours = [self.colours[image.content.tobytes()] for image in prompt[::2]]
        return self.rule(
            dict(zip(colours, (word.content for word in prompt[1::2]), strict=False)), colours[-1]
        )


@cases(80, 400)
def test_the_benchmark_tells_reading_from_copying(count):
    source = ShapesNaming(TEST_SEED, count, 48)
    reading = measure(Player(source, lambda words, colour: words.get(colour, "dax")), source)
    told = measure(Player(source, lambda words, colour: f"{colour} {words.get(colour, 'dax')}"), source)
    assert told == reading  # the last word counts
    assert [point.examples for point in reading] == [0, 1, 2, 4]
    assert all(abs(point.accuracy - point.attainable) < 0.09 for point in reading)
    assert reading[0].shown is None and [point.shown for point in reading[1:]] == [1.0] * 3
    copying = measure(Player(source, lambda words, colour: [*words.values(), "dax"][0]), source)
    assert all(abs(point.accuracy - 0.5) < 0.1 for point in copying[1:])


@pytest.mark.parametrize("wrong", [{"classes": 1}, {"classes": 9}, {"pictures": 0}, {"first_seed": -1}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"classes must be 2 to 8 of colour|seeds must belong to one split"):
        ShapesNaming(canvas=48, **wrong)
