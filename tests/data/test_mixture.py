"""A mixture has the shares that were asked for, every document of each source, and a task for each."""

import json
import logging
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import ModelCheckpoint

from tests.data.batches.test_packed_documents import (
    CODEC,
    Counting,
    Numbered,
    Stop,
    StopAfter,
    document_data,
    equal,
    fit,
)
from tests.tiny_codecs import Named
from unitok.data.batches.packed_documents import EncodedSource
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData, TransformConfig
from unitok.data.mixture import Mixture, Stored
from unitok.data.source import Concat, SplitOf
from unitok.data.tasks import TaskConfig
from unitok.data.transforms.augment import Augment
from unitok.training.encode import encode


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0.5, 4)), min_size=1, max_size=4))
def test_shares_are_as_asked_and_each_document_comes_as_often_as_its_neighbours(parts):
    mixture = Mixture([Named(str(i), size) for i, (size, _) in enumerate(parts)], [w for _, w in parts])
    seen = Counter(document[0].content for document in mixture)
    whole = sum(weight for _, weight in parts)
    for i, (size, weight) in enumerate(parts):
        counts = [seen[f"{i}.{j}"] for j in range(size)]
        assert min(counts) >= 1 and max(counts) - min(counts) <= 1
        assert sum(counts) == pytest.approx(len(mixture) * weight / whole, abs=len(parts) + 1)
    assert sum(seen.values()) == len(mixture)
    assert min(sum(seen[f"{i}.{j}"] for j in range(n)) / n for i, (n, _) in enumerate(parts)) == 1


def test_the_realised_mixture_is_logged(caplog):
    with caplog.at_level(logging.INFO):
        assert len(Mixture([Named("a", 10), Named("b", 90)], [1, 1])) == 180
    assert "Named 1 of 10 documents: 90 an epoch, 50.0% of the mixture" in caplog.text


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -2]])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be 2 numbers above 0"):
        Mixture([Named("a", 1), Named("b", 1)], weights)
    with pytest.raises(ValueError, match="got an empty one"):
        Mixture([Named("a", 0), Named("b", 1)], [1, 1])


@pytest.mark.parametrize("wrong", [{"tasks": ["draw"]}, {"learn": [None, None, ["text"]]}])
def test_wrong_tasks_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must have 2 entries, one per source|task must be one of"):
        Mixture([Named("a", 1), Named("b", 1)], [1, 1], **wrong)


# ---- tasks, and codes


def mixed(tmp_path, *, workers: int = 0, **options) -> DocumentData:
    """Three sources of pairs, the second a store: number i of source s shows 50 s / 3 + i in its codes."""
    write_store(tmp_path / "store", Shifted(16, 11), CODEC, progress=False)
    sources = [Shifted(0, 7), Stored(str(tmp_path / "store")), Shifted(32, 5)]
    tasks, learn = ["caption", "draw", None], [["text"], None, ["image"]]
    mixture = Mixture(sources, [1, 2, 1], tasks, learn)
    task = TaskConfig(**{"condition_dropout": 0.0, "name": "chat", **options})
    return document_data(mixture, task=task, workers=workers)


class Shifted(Numbered):
    """Document i has the codes of first + i."""

    def __init__(self, first, count):
        super().__init__(count)
        self.first = first

    def __getitem__(self, index):
        return super().__getitem__(index + self.first)


def written(batch) -> list[tuple[int, list[str], set[str]]]:
    """Of each document of a batch: its number, its modalities in order, and those that are learned."""
    found, words = [], CODEC.vocabulary
    for row, documents, targets in zip(batch.ids, batch.document, batch.targets, strict=True):
        for number in range(int(documents.max()) + 1):
            ids, learned = row[documents == number], targets[documents == number]
            names = [name for one in ids.tolist() if (name := words.modality_of_begin(one))]
            blocks = {name: words.block(name) for name in CODEC.modalities}
            kinds = {name for name, block in blocks.items() for one in learned.tolist() if one in block}
            image = next(one for one in ids.tolist() if one in blocks["image"])
            found.append((image - words.start("image"), names, kinds))
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_each_source_has_its_task_and_what_of_it_is_learned(tmp_path, workers, caplog):
    data = mixed(tmp_path, workers=workers)
    data.trainer = SimpleNamespace(
        global_rank=0, world_size=1, default_root_dir=str(tmp_path), is_global_zero=True,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(
            batch_progress=SimpleNamespace(total=SimpleNamespace(processed=0)))),
    )  # fmt: skip
    data.setup("fit")
    documents = [one for batch in data.train_dataloader() for one in written(batch)]
    counts = data.train.counts
    assert counts == [7, 14, 7] and len(documents) == sum(counts)
    for number, names, kinds in documents:
        if number < 16:
            assert names == ["image", "text"] and kinds == {"text"}
        elif number < 32:
            assert names == ["text", "image"] and kinds == {"text", "image"}
        else:
            assert names == ["text", "image"] and kinds == {"image"}  # the run's: as they are
    with caplog.at_level(logging.INFO):
        data.teardown("fit")
    realised = json.loads((tmp_path / "data_mixture.json").read_text())
    assert [count["documents"] for count in realised.values()] == counts
    assert list(realised) == ["Shifted 1", "Stored", "Shifted 3"]
    ids = {name: count["ids"] for name, count in realised.items()}
    assert ids["Stored"] == 14 * (2 + 2 + 2 + 2 + 4)  # numbers of two letters
    assert "mixture as read: Stored: 14 documents (50.0%), 168 ids" in caplog.text


def test_a_stopped_run_on_a_mixture_goes_on_exactly(tmp_path):
    whole = fit(tmp_path / "a", mixed(tmp_path, condition_dropout=0.3, name="both"))
    save = ModelCheckpoint(tmp_path, filename="last", every_n_train_steps=1, enable_version_counter=False)
    with pytest.raises(Stop):
        fit(
            tmp_path / "b",
            mixed(tmp_path, condition_dropout=0.3, name="both"),
            callbacks=[save, StopAfter(9)],
        )
    again = mixed(tmp_path, condition_dropout=0.3, name="both")
    resumed = fit(tmp_path / "b", again, ckpt_path=tmp_path / "last.ckpt")
    assert equal(resumed.seen, whole.seen[9:]) and len(whole.seen) == 21


def test_a_document_of_a_mixture_is_encoded_once_however_often_it_comes(tmp_path):
    source = Counting(count=3)
    data = document_data(Mixture([source, Numbered(30)], [1, 1]))
    data.setup("fit")
    assert sum(1 for _ in data.train_dataloader()) == 15
    assert sorted(source.reads) == [0, 1, 2]


def test_stores_and_tasks_are_for_training(tmp_path):
    write_store(tmp_path / "store", Numbered(3), CODEC, progress=False)
    stored = Stored(str(tmp_path / "store"))
    with pytest.raises(TypeError, match="holds codes"):
        stored[0]
    with pytest.raises(ValueError, match="augment needs images, but"):
        document_data(Mixture([stored], [1]), transforms=TransformConfig(augment=Augment()))
    with pytest.raises(ValueError, match="a store cannot hold tasks"):
        mixture = {"class_path": "unitok.data.mixture.Mixture"}
        mixture["init_args"] = {"sources": [stored], "weights": [1]}
        encode(source=mixture, image_tokenizer="none", out=tmp_path / "codes")


def test_augmented_sources_keep_their_shares_and_tasks():
    mixture = Mixture([Numbered(6), Numbered(2)], [3, 1], ["caption", None])
    data = document_data(mixture, transforms=TransformConfig(augment=Augment(copies=2)))
    data.setup("fit")
    mixture = data._packed["train"].documents.mixture
    assert mixture.counts == [12, 4] and mixture.tasks == ["caption", None]


def test_a_mixture_together_with_other_sources_keeps_its_tasks(tmp_path):
    write_store(tmp_path / "store", Shifted(16, 3), CODEC, progress=False)
    inner = Mixture(
        [Shifted(0, 4), Stored(str(tmp_path / "store"))], [4, 3], ["caption", "draw"], [["text"], None]
    )
    data = document_data(Concat([inner, Shifted(32, 5)]), task=TaskConfig("chat", condition_dropout=0.0))
    data.setup("fit")
    documents = [one for batch in data.train_dataloader() for one in written(batch)]
    assert sorted(number for number, _, _ in documents) == [0, 1, 2, 3, 16, 17, 18, 32, 33, 34, 35, 36]
    for number, names, kinds in documents:
        assert names == (["image", "text"] if number < 16 else ["text", "image"])
        assert kinds == ({"text"} if number < 16 else {"text", "image"})
    assert data._packed["train"].documents.mixture.names == ["Mixture", "Shifted"]
    augmented = TransformConfig(augment=Augment(copies=2))
    with pytest.raises(ValueError, match=r"augment needs images, but .*store is a store of codes"):
        document_data(Concat([inner, Numbered(2)]), transforms=augmented)
    images = document_data(Concat([Mixture([Numbered(2)], [1], ["draw"]), Numbered(3)]), transforms=augmented)
    images.setup("fit")
    assert images._packed["train"].documents.task(3) == "draw" and len(images._packed["train"]) == 10


def test_sources_together_without_tasks_are_one_source():
    data = document_data(Concat([Numbered(3), Concat([Numbered(2), Numbered(2)])]))
    data.setup("fit")
    assert isinstance(data._packed["train"].documents, EncodedSource)


@pytest.mark.parametrize("inner", ["tasks", "store"])
def test_tasks_and_stores_that_a_source_around_them_would_lose_are_refused(tmp_path, inner):
    write_store(tmp_path, Numbered(3), CODEC, progress=False)
    mixture = (
        Mixture([Numbered(30)], [1], ["draw"]) if inner == "tasks" else Mixture([Stored(str(tmp_path))], [1])
    )
    data = document_data(Concat([SplitOf(mixture, "train"), Numbered(2)]))
    with pytest.raises(
        ValueError, match=r"SplitOf would lose the .* put SplitOf into the mixture, around its sources"
    ):
        data.setup("fit")
    plain = document_data(SplitOf(Mixture([Numbered(30)], [1], learn=[["image"]]), "train"))
    plain.setup("fit")
    assert len(plain._packed["train"]) == 28


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1, float("inf")], "weights must be finite"),
        ([1, float("nan")], "weights must be finite"),
        ([1, 1e-12], "weights must be closer to each other"),
    ],
)
def test_weights_that_are_no_shares_are_refused(weights, said):
    with pytest.raises(ValueError, match=said):
        Mixture([Numbered(3), Numbered(3)], weights)
