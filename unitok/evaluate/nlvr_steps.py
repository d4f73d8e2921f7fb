"""NLVR's statements judged step by step, as in the lessons. Knows a model's public calls alone."""

from collections.abc import Sequence

from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.evaluate.benchmarks import page
from unitok.evaluate.metrics.true_false import statement_figures
from unitok.evaluate.report import Report
from unitok.worlds.nlvr.boxes import read_box, told
from unitok.worlds.nlvr.source import NlvrBoxes

HELD, MATTERS = 48, 32
"""Ids of what a box holds, and of what of it matters, at most."""
PAGE = {"columns": 4, "side": 272}


def boxes_report(
    model: UniTok, source: NlvrBoxes, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Accuracy and consistency of the verdicts, the more frequent's share, the share of boxes read right."""
    indices = range(min(len(source), count or len(source)))
    shown = [source.shown(i) for i in indices]
    documents = reasoned(model, shown, batch_size=batch_size)
    truth, said = [source.truth(i) for i in indices], [verdict_of(document) for document in documents]
    figures = statement_figures(said, truth, [source.sentence(i) for i in indices])
    figures |= {"boxes_read": _read_right(shown, documents)}
    right = [a == b for a, b in zip(said, truth, strict=True)]
    asked = [(document[0], *document[1:-1:3]) for document in documents]
    return Report(figures, {"nlvr": page(asked, [*map(_said, documents)], right, **PAGE)})


def reasoned(model: UniTok, shown: Sequence[tuple[str, Sequence]], *, batch_size: int) -> list[Document]:
    """Sentences with their boxes: after each the model writes what it holds and what of that matters, then
    what that comes to."""
    documents: list[Document] = [(Segment("text", sentence),) for sentence, _ in shown]
    for number in range(3):
        pictures = [Segment("image", boxes[number]) for _, boxes in shown]
        documents = [(*document, picture) for document, picture in zip(documents, pictures, strict=True)]
        for most in (HELD, MATTERS):
            documents = _continued(model, documents, most=most, batch_size=batch_size)
    return _continued(model, documents, most=MATTERS, batch_size=batch_size)


def _continued(model: UniTok, documents: Sequence[Document], *, most: int, batch_size: int) -> list[Document]:
    options = {"temperature": 0.0, "guidance_scale": 1.0, "max_new_tokens": most}
    return model.generate(documents, target="text", batch_size=batch_size, **options)


def verdict_of(document: Document) -> bool:
    """Whether the last word of a document is "yes"."""
    return document[-1].content.split()[-1:] == ["yes"]


def _said(document: Document) -> str:
    """What mattered of each box, and what that came to."""
    *seen, last = [segment.content for segment in (*document[3:-1:3], document[-1])]
    return f"[{' | '.join(seen)}] {last}"


def _read_right(shown: Sequence[tuple[str, Sequence]], documents: Sequence[Document]) -> float:
    """The share of boxes of which was said what they hold, to the letter."""
    right = [
        document[2 + 3 * number].content == told(read_box(box))
        for (_, boxes), document in zip(shown, documents, strict=True)
        for number, box in enumerate(boxes)
    ]
    return sum(right) / len(right)
