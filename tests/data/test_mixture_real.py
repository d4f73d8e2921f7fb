"""A real mixture of questions, emoji and photographs: little is padding, and packing changes no loss."""

import random
from pathlib import Path

import pytest
import torch

from tests.tiny_model import tiny_model
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.codes.build_codec import train_text_tokenizer
from unitok.data.mixture import Mixture
from unitok.data.readers.question_shards import QuestionShards
from unitok.data.readers.webdataset import WebDataset
from unitok.data.sources import open_data
from unitok.modalities.image import ImageModality
from unitok.modalities.text import TextModality
from unitok.models.cross_entropy import grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.tokens.codec import Codec

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
SETS = ("easy_vqa", "emoji", "captions")
pytestmark = pytest.mark.skipif(
    not all((SHARED / name).is_dir() for name in SETS), reason="easy_vqa, emoji and captions are not at hand"
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> PackedDocuments:
    easy, emoji = str(SHARED / "easy_vqa"), str(SHARED / "emoji")
    photos = open_data(SHARED / "captions" / "dev-000000.tar")
    source = Mixture([QuestionShards(easy), WebDataset(easy), WebDataset(emoji), photos], [2, 1, 2, 1])
    file = tmp_path_factory.mktemp("text") / "tokenizer.json"
    train_text_tokenizer(WebDataset(emoji), file, size=1000)
    image = ImageModality(tiny_model().codec.modalities["image"].tokenizer, shape=(8, 8))
    codec = Codec([TextModality.from_file(file), image])
    return PackedDocuments(
        EncodedSource(source, codec), codec, row_length=512, task="both", condition_dropout=0.1
    )


def batches(mixed: PackedDocuments, count: int):
    rng = random.Random(0)
    return [mixed[DocumentBatch(0, rng.sample(range(len(mixed)), 64))] for _ in range(count)]


def test_little_of_it_is_padding(mixed):
    found = batches(mixed, 8)
    assert sum(batch.padding for batch in found) / len(found) <= 0.02


def test_packed_and_unpacked_losses_are_equal(mixed):
    torch.manual_seed(0)
    sizes = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 48}
    model = Transformer(
        TransformerConfig(TransformerSizes(max_length=512, **sizes), mixed.codec.vocabulary.size)
    )

    def sums(batch):
        with torch.no_grad():
            hidden = model(batch.ids, batch.positions, document=batch.document)
            return grouped_cross_entropy(
                model.unembedding.weight, hidden, batch.targets, mixed.codec.groups, z_loss=1e-4
            )

    indices = list(range(0, len(mixed), len(mixed) // 48))
    packed = sums(mixed[DocumentBatch(0, indices)])
    single = [sums(mixed[DocumentBatch(0, [index])]) for index in indices]
    total, weight = (sum(getattr(one, name).item() for one in single) for name in ("total", "weight"))
    assert packed.weight.item() == weight
    assert packed.mean.item() == pytest.approx(total / weight, abs=1e-5)
