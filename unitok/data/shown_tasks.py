"""Finds the tasks that training documents show, from a sample of them. Knows no model and no batch."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from unitok.api.learned_tasks import LearnedTask
from unitok.api.task_kinds import find_tasks
from unitok.chat_template import ChatTemplate
from unitok.data.batches.packed_documents import PackedDocuments
from unitok.data.keyed_random import uniform
from unitok.data.tasks import arrange, learn_only
from unitok.document import Codes, Document
from unitok.tokens.codec import Codec

SAMPLED = 256
"""Documents that are read."""
DECODED = 32
"""Documents of several images whose codes are decoded, which tells a hole from other changes."""


def shown_tasks(
    packed: PackedDocuments,
    *,
    chat: ChatTemplate,
    learn: Sequence[str] | None = None,
    count: int = SAMPLED,
) -> tuple[LearnedTask, ...]:
    """Finds the tasks of documents that are taken at random and ordered as training reads them.

    No condition is dropped, since a document without its condition is no task of its own. Corrupt documents
    are skipped, and counted by nobody: training does that.

    Args:
        packed: the training documents.
        chat: the template of their conversations.
        learn: modalities that have a loss; None for all.
        count: documents, of which a small set has each several times.
    """
    documents = (tuple(learn_only(document, learn)) for document in _sample(packed, count))
    return find_tasks(documents, chat=chat, as_text=partial(_as_text, packed.codec))


def _as_text(codec: Codec, modality: str, content: Any) -> str:
    """A segment's content as people read it; nothing of what cannot be encoded."""
    try:
        return codec.as_text(modality, content)
    except ValueError:
        return ""


def _sample(packed: PackedDocuments, count: int) -> Iterator[Document]:
    """Yields documents in the order of their task, as many as there are intact ones among `count`."""
    places = [int(uniform(packed.seed, 0, number, "tasks") * len(packed)) for number in range(count)]
    indices = [int(packed.fitting[place]) for place in places]
    different = sorted({*indices})  # a stream is read in order
    peeked = zip(different, packed.documents.peek(different), strict=True)
    known = packed.codec.modalities.keys()
    intact = {i: one for i, one in peeked if one is not None and {s.modality for s in one} <= known}
    documents = _readable(packed.codec, intact)
    for number, index in enumerate(indices):
        if index in documents:
            yield tuple(
                arrange(
                    documents[index],
                    task=packed.documents.task(index) or packed.task,
                    captions=packed.captions,
                    condition_dropout=0.0,
                    unprompted=packed.unprompted,
                    seed=packed.seed,
                    epoch=number,  # a small set is read in several epochs: a coin shows both its sides
                    index=index,
                )
            )


def _readable(codec: Codec, documents: dict[int, Document]) -> dict[int, Document]:
    """Decodes codes to content; images only where a document has several, and of DECODED documents alone."""
    several = [index for index, document in documents.items() if _count_images(document) > 1][:DECODED]
    return {index: _decode(codec, one, images=index in several) for index, one in documents.items()}


def _count_images(document: Document) -> int:
    return sum(segment.modality == "image" for segment in document)


def _decode(codec: Codec, document: Document, *, images: bool) -> Document:
    return tuple(
        codec.decode([segment])[0]
        if isinstance(segment, Codes) and (images or segment.modality != "image")
        else segment
        for segment in document
    )
