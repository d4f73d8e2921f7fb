"""POST /v1/images/generations and /v1/images/edits: draws and edits images. Knows jobs, no ids."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image

from unitok.api import editing
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.generation.requests import Request as Writing
from unitok.modalities import image_masks
from unitok.modalities.image import ImageModality
from unitok.server import image_io
from unitok.server.chat import event
from unitok.server.http.errors import ApiError, invalid
from unitok.server.http.thread_pool import Deadline
from unitok.server.jobs import Done, Kind, Progress
from unitok.server.pending_job import Asked
from unitok.server.schemas import DrawRequest, EditForm, Pictures
from unitok.server.state import Service, complete, seed_of, streamed

router = APIRouter()
FormOfEdit = Annotated[EditForm, Form(media_type="multipart/form-data")]
EVENTS = {"draw": "image_generation", "edit": "image_edit"}


@router.post("/v1/images/generations", response_class=JSONResponse)
async def generations(request: Request, body: DrawRequest) -> Response:
    """Draw a prompt."""
    service: Service = request.app.state.service
    service.check(body.model)
    _check_size(body, service.pictures)
    seed, by = seed_of(body.seed), service.deadline()
    return await _answer(request, service, "draw", body, seed, partial(_drawing, body, seed), _same, by=by)


def _check_size(body: Pictures, pictures: ImageModality) -> None:
    """Raises ApiError for a size that the model does not draw, in pixels as clients know it."""
    size, cell = body.shape, pictures.tokenizer.cell
    if size is None:
        return
    if pictures.shape is not None:
        height, width = (side * cell for side in pictures.shape)
        if size != (height, width):
            raise invalid(f"size is {width}x{height} here, or 'auto', not {body.size}", param="size")
    elif any(side % cell or side > pictures.max_side * cell for side in size):
        most = pictures.max_side * cell
        raise invalid(
            f"size is WIDTHxHEIGHT here, each a multiple of {cell} up to {most} pixels, not {body.size}",
            param="size",
        )


def _drawing(body: DrawRequest, seed: int, model: UniTok) -> Writing:
    return model.request(
        (Segment("text", body.prompt),),
        target="image",
        seed=seed,
        negative=(Segment("text", body.negative_prompt),) if body.negative_prompt else (),
        size=body.shape,
        **body.sampling,
    )


@router.post("/v1/images/edits", response_class=JSONResponse)
async def edits(request: Request, body: FormOfEdit) -> Response:
    """Change a picture as the prompt says, or where a mask is transparent (or white)."""
    service: Service = request.app.state.service
    service.check(body.model)
    _check_size(body, service.pictures)
    by = service.deadline()
    files = [await file.read() for file in body.files]
    if not files:
        raise invalid("there is no picture to edit", param="image")
    seed = seed_of(body.seed)
    if body.mask is None:
        read = [partial(image_io.read, file, service.pictures, param="image") for file in files]
        pictures = [await service.read(request.receive, work, by=by) for work in read]
        prepare = partial(_instruction, body, seed, pictures)
        return await _answer(request, service, "edit", body, seed, prepare, _same, by=by)
    if len(files) > 1:
        raise invalid(f"a mask belongs to one picture, not to {len(files)}", param="mask")
    read = partial(_hole, files[0], await body.mask.read(), service)
    hole = await service.read(request.receive, read, by=by)
    prepare = partial(_filling, body, seed, hole)
    return await _answer(request, service, "edit", body, seed, prepare, hole.paste, by=by)


def _instruction(body: EditForm, seed: int, pictures: Sequence[Image.Image], model: UniTok) -> Writing:
    """The pictures, then the prompt, then what is drawn."""
    document = (*(Segment("image", picture) for picture in pictures), Segment("text", body.prompt))
    return model.request(document, target="image", seed=seed, size=body.shape, **body.sampling)


@dataclass(frozen=True)
class Hole:
    """A picture at the model's size and its mask, white where it is drawn anew."""

    picture: Image.Image
    mask: Image.Image

    def paste(self, drawn: Image.Image) -> Image.Image:
        """A drawing with the picture's own pixels outside the mask."""
        return Image.composite(drawn, self.picture, self.mask)


def _hole(file: bytes, mask: bytes, service: Service) -> Hole:
    picture = image_io.opened(file, param="image")
    fitted = service.pictures.fit(picture)
    return Hole(fitted, image_io.mask_of(mask, picture, fitted.size, param="mask"))


def _filling(body: EditForm, seed: int, hole: Hole, model: UniTok) -> Writing:
    """The prompt, then a picture whose codes outside the mask are known."""
    size = hole.picture.size[::-1]
    if body.shape not in (None, size):
        raise ValueError(f"a picture that is edited by a mask keeps its size, {size[1]}x{size[0]}")
    free = image_masks.free_cells(hole.mask, model.codec.modalities["image"].tokenizer.cell)
    prompt = editing.inpainting_prompt(model, hole.picture, free, body.prompt)
    request = model.request(prompt, target="image", seed=seed, size=size, **body.sampling)
    (fixed,) = editing.masked_codes(model.codec, [hole.picture], [free])
    return replace(request, fixed=fixed)


# -- what both answer


async def _answer(
    request: Request,
    service: Service,
    kind: Kind,
    body: Pictures,
    seed: int,
    prepare: Callable[[UniTok], Writing],
    finish: Callable[[Image.Image], Image.Image],
    *,
    by: Deadline,
) -> Response:
    """The pictures of a job, all at once or with previews as they come."""
    asked = Asked(
        service.worker,
        kind,
        prepare,
        by=by,
        copies=body.n,
        previews=body.partial_images if body.stream else 0,
    )
    drawn = Drawn(service, kind, body, seed, finish)
    if body.stream:
        return await streamed(asked, request.receive, drawn.events(asked))
    copies = await complete(asked, request.receive)
    return JSONResponse(await service.writing.run(drawn.whole, copies, by=by))


def _same(picture: Image.Image) -> Image.Image:
    return picture


@dataclass(frozen=True)
class Drawn:
    """Pictures as OpenAI's clients read them; `finish` is the last touch."""

    service: Service
    kind: Kind
    body: Pictures
    seed: int
    finish: Callable[[Image.Image], Image.Image]

    def whole(self, copies: Sequence[Done]) -> dict:
        """The response that is no stream."""
        pictures = [self.finish(done.document[-1].content) for done in copies]
        data = [{"b64_json": image_io.base64_of(picture, self.body.output_format)} for picture in pictures]
        return {
            "created": int(time.time()),
            "data": data,
            "output_format": self.body.output_format,
            "size": _size(pictures[0]),
            "usage": _usage(copies),
            "seed": self.seed,
        }

    async def events(self, asked: Asked) -> AsyncIterator[str]:
        """The events of a stream: previews, grey where nothing is drawn yet, and the pictures.

        `image_index` says of which of n pictures an event is.
        """
        told: dict[int, int] = {}
        latest: dict[int, Image.Image] = {}
        try:
            async for news in asked.news():
                if isinstance(news, Progress):
                    latest[news.copy] = self.finish(news.update.content)
                    if not news.update.done:
                        index = told.get(news.copy, 0)
                        told[news.copy] = index + 1
                        about = {"partial_image_index": index}
                        yield await self._event(asked, "partial_image", latest[news.copy], news.copy, about)
                elif isinstance(news, Done):
                    about = {"usage": _usage([news]), "seed": self.seed}
                    yield await self._event(asked, "completed", latest[news.copy], news.copy, about)
        except ApiError as error:
            yield event(error.content)

    async def _event(self, asked: Asked, name: str, picture: Image.Image, copy: int, about: dict) -> str:
        kind, format = f"{EVENTS[self.kind]}.{name}", self.body.output_format
        content = {
            "type": kind,
            "b64_json": await self.service.writing.run(image_io.base64_of, picture, format, by=asked.by),
            "created_at": int(time.time()),
            "size": _size(picture),
            "output_format": format,
            "quality": "auto",
            "background": "opaque",
            "image_index": copy,
            **about,
        }
        return event(content, name=kind)


def _size(picture: Image.Image) -> str:
    return f"{picture.width}x{picture.height}"


def _usage(copies: Sequence[Done]) -> dict:
    """Codes as tokens: those of the prompt once, those of all copies."""
    read = copies[0].read
    written = sum(done.written["image"] for done in copies)
    return {
        "input_tokens": sum(read.values()),
        "input_tokens_details": {"text_tokens": read["text"], "image_tokens": read["image"]},
        "output_tokens": written,
        "total_tokens": sum(read.values()) + written,
    }
