"""Images that come before what is learned are shown, others are codes; a store has nothing to show."""

import pytest
import torch

from tests.generation.test_likelihood import make_image
from tests.tiny_model import tiny_model
from unitok.data.batches import packed_documents
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.loader import build_loader
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.source import Source
from unitok.document import Segment
from unitok.modalities.vision import VisionConfig

CODEC = tiny_model(vision=VisionConfig()).codec


class Pairs(Source):
    """Captioned images, a text alone, and a question, whose image is shown."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int):
        text, image = Segment("text", f"t{index}"), Segment("image", make_image(index))
        if index == 4:
            return (text,)
        if index == 5:
            return (Segment("image", make_image(5), False), Segment("text", "?", False), text)
        return (text, image)


def packed(**options) -> PackedDocuments:
    return PackedDocuments(EncodedSource(Pairs(), CODEC), CODEC, row_length=60, **options)


def ids_of(batch) -> set[int]:
    return set(batch.ids.flatten().tolist())


@pytest.mark.parametrize(("task", "shown"), [("caption", 5), ("draw", 1), ("chat", 1)])
def test_an_image_before_its_text_is_shown(task, shown):
    batch = packed(task=task)[DocumentBatch(0, list(range(6)))]
    words = CODEC.vocabulary
    assert len(batch.tiles) == shown
    assert (
        ids_of(batch) >= set(words.vectors(6 * shown)) and max(ids_of(batch)) < words.vectors(6 * shown).stop
    )
    assert (words.begin("image") in ids_of(batch)) == (task != "caption")
    assert int(batch.targets.max()) < words.size
    assert not torch.isin(batch.targets, torch.tensor([words.begin("vision"), words.end("vision")])).any()


class Sizes(Source):
    """Captioned images of one tile, of two and of four."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int):
        return Segment("text", "t"), Segment(
            "image", make_image(index).resize(((12, 8), (24, 8), (24, 16))[index])
        )


def test_images_of_different_numbers_of_tiles_are_packed_and_their_places_counted():
    codec = tiny_model(vision=VisionConfig(tiles=4)).codec
    batch = PackedDocuments(EncodedSource(Sizes(), codec), codec, row_length=80, task="caption")[
        DocumentBatch(0, [0, 1, 2])
    ]
    assert len(batch.tiles) == 1 + 3 + 5 and ids_of(batch) >= set(codec.vocabulary.vectors(6 * 9))
    short = PackedDocuments(EncodedSource(Sizes(), codec), codec, row_length=33, task="caption")
    assert len(short[DocumentBatch(0, [0, 1, 2])].tiles) == 4 and short.dropped == 1
    tiny = PackedDocuments(EncodedSource(Sizes(), codec), codec, row_length=5, task="caption")
    with pytest.raises(ValueError, match="document 2 has 36 tokens, row_length is 5"):
        tiny[DocumentBatch(0, [0, 1, 2])]


def test_a_batch_without_shown_images_has_no_tiles():
    assert packed(task="draw")[DocumentBatch(0, [0, 1, 4])].tiles is None
    assert packed(task="draw")[DocumentBatch(0, [])].tiles is None


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_tiles_survive_the_way_from_a_worker(workers):
    dataset = packed(task="caption")
    loader = build_loader(dataset, None, batch_size=2, workers=workers, seed=None)
    for number, batch in enumerate(loader):
        expected = dataset[DocumentBatch(0, [2 * number, 2 * number + 1])]
        assert torch.equal(batch.tiles, expected.tiles) and torch.equal(batch.ids, expected.ids)


def test_what_is_seen_is_remembered_up_to_a_limit_and_the_same_without(monkeypatch):
    window = DocumentBatch(0, list(range(6)))
    whole = packed(task="caption")
    expected = whole[window]
    monkeypatch.setattr(packed_documents, "MAX_SEEN", 2 * CODEC.vision.tile.nbytes)
    limited = packed(task="caption")
    for _ in range(2):
        assert torch.equal(limited[window].tiles, expected.tiles)
    assert len(limited.documents._codes) == 2 < len(whole.documents._codes) == 6


def test_a_store_of_codes_is_refused_where_an_image_is_shown(tmp_path):
    write_store(tmp_path, Pairs(), tiny_model().codec, progress=False)
    drawn = PackedDocuments(Store(tmp_path, CODEC), CODEC, row_length=60, task="draw")
    assert drawn[DocumentBatch(0, [0, 1])].tiles is None
    with pytest.raises(ValueError, match=r"sees pixels of each image .* train from the source"):
        PackedDocuments(Store(tmp_path, CODEC), CODEC, row_length=60, task="caption")[DocumentBatch(0, [0])]
