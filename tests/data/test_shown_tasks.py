"""The tasks of a run are read off its documents: of sources, of stores, of a mixture with its own tasks."""

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import Listed
from tests.tiny_model import tiny_model
from unitok.chat_template import ChatTemplate
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.codes.mixture_codes import MixedDocuments
from unitok.data.codes.store import Store
from unitok.data.codes.store_writer import write_store
from unitok.data.mixture import Mixture
from unitok.data.shown_tasks import shown_tasks
from unitok.data.transforms.inpainting import Fills
from unitok.document import Segment
from unitok.modalities.geometry import Box

CODEC = tiny_model().codec
IMAGE = Image.fromarray(np.full((8, 12, 3), 200, np.uint8))
PAIRS = [(Segment("text", text), Segment("image", IMAGE)) for text in ("a wall", "a grey wall")]
ASKED = (Segment("image", IMAGE, False), Segment("text", "what is it?", False), Segment("text", "a wall"))


def tasks_of(documents, **options):
    packed = PackedDocuments(documents, CODEC, row_length=100, **options)
    return shown_tasks(packed, chat=ChatTemplate(), count=32)


def names(tasks):
    return [task.name for task in tasks]


@pytest.mark.parametrize(
    "task, found",
    [
        ("caption", ["captions"]), ("draw", ["drawings"]), ("chat", ["drawings"]),
        ("both", ["captions", "drawings"]),
    ],
)  # fmt: skip
def test_a_task_orders_pairs_whose_condition_is_not_dropped(task, found):
    source = EncodedSource(Listed([*PAIRS, None]), CODEC)
    tasks = tasks_of(source, task=task, condition_dropout=0.9)
    assert names(tasks) == found
    assert {"a wall", "a grey wall"} == {e.prompt or e.answer for e in tasks[0].examples}
    assert not source._codes and not source.faults.counts, "it encodes, keeps and counts nothing"


def test_a_single_document_shows_both_sides_of_the_coin():
    assert names(tasks_of(EncodedSource(Listed(PAIRS[:1]), CODEC))) == ["captions", "drawings"]


def test_what_is_not_learned_or_cannot_be_encoded_is_no_task():
    boxed = (*ASKED[:2], Segment("box", Box(0.1, 0.2, 0.5, 0.75)))
    source = EncodedSource(Listed([*PAIRS, boxed]), CODEC)
    assert names(tasks_of(source)) == ["captions", "drawings"]
    packed = PackedDocuments(source, CODEC, row_length=100)
    assert names(shown_tasks(packed, chat=ChatTemplate(), learn=["text"])) == ["captions", "texts"]


def test_codes_of_a_store_show_what_their_documents_do(tmp_path):
    write_store(tmp_path / "codes", Listed([*PAIRS, ASKED]), CODEC, shard_size=2, progress=False)
    tasks = tasks_of(Store(tmp_path / "codes", CODEC))
    assert names(tasks) == ["captions", "drawings", "questions"]
    assert tasks[2].examples[0].text == "what is it? → a wall"


def test_holes_are_filled_and_not_edited():
    assert names(tasks_of(EncodedSource(Fills(Listed(PAIRS), (2, 3)), CODEC))) == ["fills"]


def test_each_source_of_a_mixture_has_its_own_task_and_learned_modalities():
    sources = [Listed(PAIRS), Listed([ASKED]), Listed(PAIRS)]
    mixture = Mixture(sources, [1.0, 1.0, 1.0], ["caption", None, "draw"], [["text"], None, ["text"]])
    documents = MixedDocuments(mixture, [EncodedSource(source, CODEC) for source in sources])
    tasks = tasks_of(documents)
    assert names(tasks) == ["captions", "questions", "texts"], "texts of drawings are learned, not drawings"
    assert not documents.counts().any()
