"""Batches are a pure function of their number: any workers, any resume; each document once an epoch."""

import logging
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from tests.data.coded import coded
from tests.tiny_codecs import GridModality, byte_text, seeing_codec, shown_image
from unitok.data.batches.batch_sampler import DocumentBatch, DocumentBatchSampler
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.codes.encoding import CodedDocuments
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData
from unitok.data.source import Source
from unitok.data.tasks import TaskConfig
from unitok.document import Codes, Segment
from unitok.tokens.codec import Codec

CODEC = Codec([byte_text(), GridModality(codebook=50, shape=(2, 2))])


class Numbered(Source):
    """Document i says so, in its text and in its codes; `long` ones have a long text, `bad` ones none."""

    def __init__(self, count=22, long=(), bad=()):
        self.count, self.long, self.bad = count, long, bad

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.bad:
            raise ValueError(f"picture {index} is damaged")
        text = str(index) + " " * (100 if index in self.long else 0)
        return Segment("text", text), Segment("image", torch.full((2, 2), index % 50))


@dataclass
class One(CodedDocuments):
    """A single document."""

    codes: list[Codes]

    def __len__(self):
        return 1

    def fetch(self, indices):
        return [self.codes for _ in indices]


def numbers(batch) -> list[int]:
    """Which documents a batch holds, sorted: each has its number four times as image codes."""
    start = CODEC.vocabulary.start("image")
    found = batch.ids[(batch.ids >= start) & (batch.ids < start + 50)] - start
    return sorted(found.tolist()[::4])


# ---- windows


@given(
    count=st.integers(1, 60),
    size=st.integers(1, 9),
    world=st.integers(1, 3),
    seed=st.none() | st.integers(-5, 2**40),
    epoch=st.integers(0, 3),
)
def test_each_document_is_in_one_window_of_an_epoch(count, size, world, seed, epoch):
    ranks = [DocumentBatchSampler(count, size, seed=seed, rank=rank, world=world) for rank in range(world)]
    steps = range(epoch * len(ranks[0]), (epoch + 1) * len(ranks[0]))
    windows = [windows.batch(step) for windows in ranks for step in steps]
    assert sorted(i for window in windows for i in window.indices) == list(range(count))
    assert {window.epoch for window in windows} == {0 if seed is None else epoch}
    assert all(len(window.indices) <= size for window in windows)


@given(start=st.integers(0, 40))
def test_a_pass_begins_where_the_last_one_stopped(start):
    whole, resumed = (
        DocumentBatchSampler(20, 3, seed=1),
        DocumentBatchSampler(20, 3, seed=1, start=lambda: start),
    )
    assert list(resumed) == [whole.batch(start + i) for i in range(7)]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=2, max_size=2),
    seed=st.none() | st.integers(0, 9),
    steps=st.integers(0, 20),
)
def test_other_sizes_and_ranks_begin_after_what_was_seen(sizes, seed, steps):
    (size, world), (larger, more) = sizes
    before = [DocumentBatchSampler(20, size, seed=seed, rank=rank, world=world) for rank in range(world)]
    place = before[0].position(steps)
    seen = [i for number in range(steps) for windows in before for i in windows.batch(number).indices]
    after = [
        DocumentBatchSampler(20, larger, seed=seed, origin=place, rank=rank, world=more)
        for rank in range(more)
    ]
    for number in range(steps, steps + 40):
        seen += [i for windows in after for i in windows.batch(number).indices]
    for epoch in range(len(seen) // 20):
        assert sorted(seen[20 * epoch : 20 * epoch + 20]) == list(range(20))
    same = DocumentBatchSampler(20, size, seed=seed, origin=place, rank=0, world=world)
    assert [same.batch(steps + i) for i in range(9)] == [before[0].batch(steps + i) for i in range(9)]


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {
        tuple(DocumentBatchSampler(30, 30, seed=s).batch(e).indices) for s in range(3) for e in range(3)
    }
    assert len(orders) == 9


def test_no_document_makes_no_batch():
    with pytest.raises(ValueError, match="got 0 and 4"):
        DocumentBatchSampler(0, 4, seed=0)


# ---- packed documents


def packed(source, **options) -> PackedDocuments:
    return PackedDocuments(EncodedSource(source, CODEC), CODEC, **{"row_length": 40, **options})


def test_a_store_gives_the_batches_of_its_source(tmp_path):
    source = Numbered()
    write_store(tmp_path, source, CODEC, progress=False)
    stored = PackedDocuments(Store(tmp_path, CODEC), CODEC, row_length=40, condition_dropout=0.5)
    for window in DocumentBatchSampler(22, 5, seed=3):
        read = packed(source, condition_dropout=0.5)[window]
        for a, b in zip(stored[window][:4], read[:4], strict=True):
            assert torch.equal(a, b)


def test_too_long_and_damaged_documents_are_dropped_and_named(caplog):
    with caplog.at_level(logging.WARNING):
        batches = packed(Numbered(6, long=(2,), bad=(4,)), task="draw")
        assert numbers(batches[DocumentBatchSampler(6, 6, seed=0).batch(0)]) == [0, 1, 3, 5]
    assert "document 2 has 110 tokens, a row has 40" in caplog.text
    assert "skipped: document 4: unreadable: picture 4 is damaged" in caplog.text


def test_a_row_has_place_for_what_an_image_is_laid_out_as():
    """An image that is learned takes its codes, one that is shown its vectors, whichever are more."""
    codec = seeing_codec(tiles=4)
    (text,) = codec.encode((Segment("text", "a dot"),))
    documents = One([text, shown_image(codec, 1, learn=True)])
    for task, length in {"draw": 14, "caption": 40}.items():
        options = {"task": task, "unprompted": ()}
        batches = PackedDocuments(documents, codec, row_length=length, **options)
        assert batches[DocumentBatch(0, [0])].padding == 0.0
        with pytest.raises(ValueError, match=f"has {length} tokens, row_length is {length - 1}"):
            PackedDocuments(documents, codec, row_length=length - 1, **options)[DocumentBatch(0, [0])]


def test_the_first_of_a_pair_is_learned_or_only_shown():
    """An image alone stays learned, as guidance needs it; its loss is then the caption's, or its codes'."""
    for task, modality in (("caption", "text"), ("draw", "image")):
        targets = {}
        for first in ("learned", "shown"):
            documents = packed(Numbered(8), task=task, condition_dropout=0.4, first=first)
            batch = documents[DocumentBatch(0, list(range(8)))]
            targets[first] = {
                name: sum((batch.targets == i).sum() for i in CODEC.vocabulary.ids(name))
                for name in ("text", "image")
            }
        assert targets["shown"][modality] == targets["learned"][modality]
        (other,) = {"text", "image"} - {modality}
        assert targets["shown"][other] == 0 < targets["learned"][other]


def test_long_documents_of_a_store_are_counted_in_one_line(tmp_path, caplog):
    write_store(tmp_path, Numbered(6, long=(2, 5)), CODEC, progress=False)
    with caplog.at_level(logging.WARNING):
        stored = PackedDocuments(Store(tmp_path, CODEC), CODEC, row_length=40)
    assert len(stored) == 4 and len(caplog.records) == 1
    assert "2 of 6 documents are dropped" in caplog.text and "at most 110" in caplog.text
    with pytest.raises(ValueError, match="no document fits a row of 5 tokens; the shortest has 10"):
        PackedDocuments(Store(tmp_path, CODEC), CODEC, row_length=5)


def test_a_source_of_long_documents_only_is_refused_with_the_numbers():
    with pytest.raises(
        ValueError, match=r"none of the first 3 documents fits: .* 110 tokens, row_length is 40"
    ):
        packed(Numbered(3, long=range(3)))[DocumentBatchSampler(3, 3, seed=None).batch(0)]


def test_an_empty_window_is_a_row_of_padding():
    batch = packed(Numbered())[DocumentBatchSampler(1, 2, seed=0, rank=1, world=2).batch(0)]
    assert len(batch.ids) == 1 and batch.padding == 1.0


# ---- the data module under a trainer


class Recorder(LightningModule):
    """Trains one number and writes down the batches that it was trained on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen, self.validated = [], []

    def training_step(self, batch, index):
        self.seen.append([tensor.clone() for tensor in batch[:4]])
        return self.weight.sum()

    def validation_step(self, batch, index):
        self.validated.append(numbers(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Stop(Exception):
    pass


class StopAfter(Callback):
    """Ends a run without ceremony, as a crash would, once `steps` batches are trained."""

    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_start(self, trainer, module, batch, index):
        if trainer.global_step == self.steps:
            raise Stop


def document_data(source, **options) -> DocumentData:
    return coded(CODEC, train=source, val=Numbered(7), row_length=40, batch_size=4, **options)


def fit(folder, data, *, epochs=3, callbacks=(), ckpt_path=None) -> Recorder:
    recorder = Recorder()
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=bool(callbacks),
        callbacks=list(callbacks),
    )
    trainer.fit(recorder, data, ckpt_path=ckpt_path)
    return recorder


def equal(a, b) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p[:4], q[:4], strict=True)
    )


def test_each_document_is_trained_once_an_epoch_and_validation_does_not_change(tmp_path):
    recorder = fit(tmp_path, document_data(Numbered(), task=TaskConfig(condition_dropout=0.0)))
    assert len(recorder.seen) == 18
    for epoch in range(3):
        ids = torch.cat([batch[0] for batch in recorder.seen[6 * epoch : 6 * epoch + 6]])
        assert numbers(type("Batch", (), {"ids": ids})) == list(range(22))
    assert recorder.validated == [[0, 1, 2, 3], [4, 5, 6]] * 3


@pytest.mark.parametrize(("stop", "workers"), [(4, 0), (6, 0), (8, 0), (8, 2), (15, 0)])
def test_a_resumed_run_sees_what_it_would_have_seen(tmp_path, stop, workers):
    whole = fit(tmp_path, document_data(Numbered()))
    save = ModelCheckpoint(tmp_path, filename="last", every_n_train_steps=1, enable_version_counter=False)
    with pytest.raises(Stop):
        fit(tmp_path, document_data(Numbered(), workers=workers), callbacks=[save, StopAfter(stop)])
    resumed = fit(tmp_path, document_data(Numbered(), workers=workers), ckpt_path=tmp_path / "last.ckpt")
    assert equal(resumed.seen, whole.seen[stop:])


def test_a_checkpoint_after_validation_resumes_exactly_too(tmp_path):
    whole = fit(tmp_path, document_data(Numbered()))
    save = ModelCheckpoint(tmp_path, filename="last", monitor=None, save_on_train_epoch_end=False)
    with pytest.raises(Stop):
        fit(tmp_path, document_data(Numbered()), callbacks=[save, StopAfter(9)])
    resumed = fit(tmp_path, document_data(Numbered()), ckpt_path=tmp_path / "last.ckpt")
    assert equal(resumed.seen, whole.seen[6:])


def batches_of(size: int) -> DocumentData:
    task = TaskConfig(condition_dropout=0.0)
    return coded(CODEC, train=Numbered(), val=Numbered(7), row_length=40, batch_size=size, task=task)


@pytest.mark.parametrize("size", [2, 8])
def test_a_run_goes_on_after_the_documents_that_it_has_seen(tmp_path, size, caplog):
    save = ModelCheckpoint(tmp_path, filename="last", monitor=None, save_on_train_epoch_end=False)
    with pytest.raises(Stop):
        fit(tmp_path, batches_of(4), callbacks=[save, StopAfter(9)])  # saved after an epoch, and later
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["DocumentData"]["progress"]
    assert state == {"batches": 6, "epoch": 1, "documents": 0, "count": 22, "seed": 0, "size": 4}
    data = batches_of(size)
    resumed = fit(tmp_path, data, ckpt_path=tmp_path / "last.ckpt", epochs=3)
    assert "after 0 documents of epoch 1" in caplog.text
    ids = torch.cat([batch[0] for batch in resumed.seen[: -(-22 // size)]])
    assert numbers(type("Batch", (), {"ids": ids})) == list(range(22))


def test_a_checkpoint_of_other_tokenizers_is_refused(tmp_path):
    save = ModelCheckpoint(tmp_path, filename="last", monitor=None, save_on_train_epoch_end=False)
    with pytest.raises(Stop):
        fit(tmp_path, batches_of(4), callbacks=[save, StopAfter(9)])
    other = Codec([byte_text(), GridModality(codebook=50, shape=(2, 3))])
    with pytest.raises(ValueError, match=r"last\.ckpt: trained with other tokenizers"):
        data = coded(other, train=Numbered(), val=Numbered(7), row_length=40)
        fit(tmp_path, data, ckpt_path=tmp_path / "last.ckpt")


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 99), size=st.integers(1, 9))
def test_batches_are_the_same_whoever_asks(seed, size):
    data = coded(CODEC, train=Numbered(), val=Numbered(), row_length=40, batch_size=size, seed=seed)
    data.setup("fit")
    again = packed(Numbered(), condition_dropout=0.1, seed=seed)
    sampler = DocumentBatchSampler(22, size, seed=seed)
    assert equal(list(data.train_dataloader()), [again[sampler.batch(n)] for n in range(len(sampler))])


# ---- codes of a source


class Counting(Numbered):
    """Counts how often each document is read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.reads: list[int] = []

    def __getitem__(self, index):
        self.reads.append(index)
        return super().__getitem__(index)


@pytest.mark.parametrize(("cached", "reads"), [(100, [3, 1, 7]), (2, [3, 1, 7, 7]), (0, [3, 1, 7, 7, 3])])
def test_codes_of_a_source_are_computed_once_as_far_as_memory_goes(cached, reads):
    source = Counting(bad=(1,))
    encoded = EncodedSource(source, CODEC, cached=cached)
    first, second = encoded.fetch([3, 1, 3, 7]), encoded.fetch([7, 3])
    assert source.reads == reads
    assert first[1] is None
    shown = [codes[1].codes[0].item() for codes in (first[0], first[2], first[3], *second)]
    assert shown == [3, 3, 7, 7, 3]


# ---- documents without text


class Images(Numbered):
    """The documents of Numbered without their text."""

    def __getitem__(self, index):
        return super().__getitem__(index)[1:]


@pytest.mark.parametrize(("kind", "says"), [(Images, True), (Numbered, False)])
@pytest.mark.parametrize("stored", [False, True])
def test_a_run_without_text_says_so_before_its_first_step(tmp_path, caplog, kind, says, stored):
    source = kind(40, bad=[0, 3])
    if stored:
        write_store(tmp_path / "store", source, CODEC)
        source = str(tmp_path / "store")
    with caplog.at_level(logging.WARNING):
        fit(tmp_path, document_data(source), epochs=1)
    lines = [record.getMessage() for record in caplog.records]
    assert any("no text in" in line for line in lines) is says
