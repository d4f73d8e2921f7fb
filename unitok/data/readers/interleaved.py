"""Interleaved documents of texts and images: OBELICS and MMC4. Knows no tasks."""

from typing import Any

from unitok.data.faults import SampleError
from unitok.data.files.records import Record
from unitok.data.readers.segments import names_no_image, text
from unitok.data.readers.tables import RecordReader
from unitok.document import Document, Segment


class Obelics(RecordReader):
    """Pages as OBELICS has them: lists `texts` and `images` of one length, and one of each two is null.

    Both kinds of segments are learned, in the page's order. Pictures are files in `images`, or bytes; OBELICS
    as it is published has URLs, which are faults: download them first.
    """

    format = "obelics"
    looks_like = "a table as above with lists named texts and images, of one length"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        texts, images = record.get("texts"), record.get("images")
        return isinstance(texts, list) and isinstance(images, list) and len(texts) == len(images)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        texts, images = (_list(record, name, path=path, offset=offset) for name in ("texts", "images"))
        if len(texts) != len(images):
            detail = f"{len(texts)} texts and {len(images)} images"
            raise SampleError("parts do not match", path, detail, offset=offset)
        place = {"path": path, "offset": offset}
        segments = []
        for said, shown in zip(texts, images, strict=True):
            shows = not names_no_image(shown)
            if shows and said:
                raise SampleError(
                    "parts do not match", path, "a text and an image at one place", offset=offset
                )
            if shows:
                segments.append(self.picture(shown, **place))
            elif isinstance(said, str) and not said.strip():
                continue
            elif said is not None:
                segments.append(text(said, **place))
        return _not_empty(segments, **place)


class Mmc4(RecordReader):
    """Pages as MMC4 has them: sentences in `text_list`, and pictures in `image_info` that belong to one each.

    A picture stands before its sentence (`matched_text_index`); the sentences between two pictures are one
    text. Pictures are files named `image_name` in `images`.
    """

    format = "mmc4"
    looks_like = "a table as above with lists named text_list and image_info"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("text_list"), list) and isinstance(record.get("image_info"), list)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        place = {"path": path, "offset": offset}
        sentences, infos = (_list(record, name, **place) for name in ("text_list", "image_info"))
        shown: dict[int, list[Any]] = {}
        for info in infos:
            number = info.get("matched_text_index") if isinstance(info, dict) else None
            if not isinstance(number, int) or not 0 <= number < len(sentences):
                detail = f"an image belongs to sentence {number!r:.80} of {len(sentences)}"
                raise SampleError("parts do not match", path, detail, offset=offset)
            shown.setdefault(number, []).append(info.get("image_name"))
        segments, waiting = [], []
        for number, sentence in enumerate(sentences):
            if number in shown:
                segments += _joined(waiting, **place)
                segments += [self.picture(name, **place) for name in shown[number]]
                waiting = []
            waiting.append(text(sentence, **place, empty=True).content)
        return _not_empty([*segments, *_joined(waiting, **place)], **place)


def _list(record: Record, name: str, *, path: str, offset: int | None) -> list:
    if not isinstance(record.get(name), list):
        raise SampleError("missing column", path, f"it has no list {name!r}", offset=offset)
    return record[name]


def _joined(sentences: list[str], *, path: str, offset: int | None) -> list[Segment]:
    whole = " ".join(sentence for sentence in sentences if sentence)
    return [text(whole, path=path, offset=offset)] if whole else []


def _not_empty(segments: list[Segment], *, path: str, offset: int | None) -> Document:
    if not segments:
        raise SampleError("empty caption", path, "the page has neither text nor picture", offset=offset)
    return tuple(segments)
