"""Interleaved documents of texts and images: OBELICS and MMC4. Knows no tasks."""

from typing import Any

from unitok.data.faults import SampleError
from unitok.data.files.records import Record
from unitok.data.readers.record_reader import RecordReader
from unitok.data.readers.segments import names_no_image, text_segment
from unitok.document import Document, Segment


class Obelics(RecordReader):
    """Interleaved documents of OBELICS: lists `texts` and `images` of one length, one of each two null.

    Texts and images are learned, in the document's order. Images are files in `images`, or bytes; the
    published OBELICS has URLs, which are faults: download them first.
    """

    format = "obelics"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        texts, images = record.get("texts"), record.get("images")
        return isinstance(texts, list) and isinstance(images, list) and len(texts) == len(images)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        texts, images = (_read_list(record, name, path=path, offset=offset) for name in ("texts", "images"))
        if len(texts) != len(images):
            detail = f"{len(texts)} texts and {len(images)} images"
            raise SampleError("parts do not match", path, detail, offset=offset)
        place = {"path": path, "offset": offset}
        segments = []
        for text, image in zip(texts, images, strict=True):
            has_image = not names_no_image(image)
            if has_image and text:
                raise SampleError(
                    "parts do not match", path, "a text and an image at one place", offset=offset
                )
            if has_image:
                segments.append(self.image(image, **place))
            elif isinstance(text, str) and not text.strip():
                continue
            elif text is not None:
                segments.append(text_segment(text, **place))
        return _check_not_empty(segments, **place)


class Mmc4(RecordReader):
    """Interleaved documents of MMC4: sentences in `text_list`, each image in `image_info` with its sentence.

    An image precedes its sentence (`matched_text_index`); the sentences between two images are one text.
    Images are files named `image_name` in `images`.
    """

    format = "mmc4"

    @classmethod
    def fits_record(cls, record: Record) -> bool:
        return isinstance(record.get("text_list"), list) and isinstance(record.get("image_info"), list)

    def document(self, record: Record, *, path: str, offset: int | None) -> Document:
        place = {"path": path, "offset": offset}
        sentences, infos = (_read_list(record, name, **place) for name in ("text_list", "image_info"))
        images: dict[int, list[Any]] = {}
        for info in infos:
            number = info.get("matched_text_index") if isinstance(info, dict) else None
            if not isinstance(number, int) or not 0 <= number < len(sentences):
                detail = f"an image belongs to sentence {number!r:.80} of {len(sentences)}"
                raise SampleError("parts do not match", path, detail, offset=offset)
            images.setdefault(number, []).append(info.get("image_name"))
        segments, pending = [], []
        for number, sentence in enumerate(sentences):
            if number in images:
                segments += _join_sentences(pending, **place)
                segments += [self.image(name, **place) for name in images[number]]
                pending = []
            pending.append(text_segment(sentence, **place, empty=True).content)
        return _check_not_empty([*segments, *_join_sentences(pending, **place)], **place)


def _read_list(record: Record, name: str, *, path: str, offset: int | None) -> list:
    if not isinstance(record.get(name), list):
        raise SampleError("missing column", path, f"it has no list {name!r}", offset=offset)
    return record[name]


def _join_sentences(sentences: list[str], *, path: str, offset: int | None) -> list[Segment]:
    text = " ".join(sentence for sentence in sentences if sentence)
    return [text_segment(text, path=path, offset=offset)] if text else []


def _check_not_empty(segments: list[Segment], *, path: str, offset: int | None) -> Document:
    if not segments:
        raise SampleError("empty caption", path, "the document has neither text nor image", offset=offset)
    return tuple(segments)
