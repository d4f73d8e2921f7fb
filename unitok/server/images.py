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
from unitok.generation.requests import Request as EngineRequest
from unitok.modalities import image_masks
from unitok.modalities.image import ImageModality
from unitok.server import image_io
from unitok.server.chat import server_sent_event
from unitok.server.http.errors import ApiError, invalid
from unitok.server.http.thread_pool import Deadline
from unitok.server.jobs import Done, Kind, Progress
from unitok.server.pending_job import PendingJob
from unitok.server.readable import warning_fields
from unitok.server.schemas import DrawRequest, EditForm, ImageRequest, SizeField
from unitok.server.state import ServerState, complete, seed_or_random, stream

router = APIRouter()
FormOfEdit = Annotated[EditForm, Form(media_type="multipart/form-data")]
EVENTS = {"draw": "image_generation", "edit": "image_edit"}


@router.post("/v1/images/generations", response_class=JSONResponse)
async def generations(request: Request, body: DrawRequest) -> Response:
    """Draw images from a prompt."""
    state: ServerState = request.app.state.server
    state.check_model(body.model)
    check_size(body, state.image_modality)
    seed, deadline = seed_or_random(body.seed), state.deadline()
    prepare = partial(_prepare_drawing, body, seed)
    answer = ImageAnswer(state, "draw", body, seed, _unchanged, state.model.unlearned("drawings"))
    return await _respond(request, answer, prepare, deadline=deadline)


def check_size(body: SizeField, modality: ImageModality) -> None:
    """Raise ApiError for a size that the model cannot draw, in pixels and in OpenAI's notation."""
    size, cell = body.shape, modality.tokenizer.cell
    if size is None:
        return
    if modality.shape is not None:
        height, width = (side * cell for side in modality.shape)
        if size != (height, width):
            raise invalid(f"size must be {width}x{height} or 'auto' here, got {body.size}", param="size")
    elif any(side % cell or side > modality.max_side * cell for side in size):
        max_side = modality.max_side * cell
        raise invalid(
            f"size must be WIDTHxHEIGHT, both multiples of {cell} up to {max_side} pixels, got {body.size}",
            param="size",
        )


def _prepare_drawing(body: DrawRequest, seed: int, model: UniTok) -> EngineRequest:
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
    """Edit an image as the prompt instructs, or redraw it where a mask is transparent (or white)."""
    state: ServerState = request.app.state.server
    state.check_model(body.model)
    check_size(body, state.image_modality)
    deadline = state.deadline()
    files = [await file.read() for file in body.files]
    if not files:
        raise invalid("image must be one file or several, got none", param="image")
    seed = seed_or_random(body.seed)
    if body.mask is None:
        reads = [partial(image_io.read_fitted, file, state.model.codec, param="image") for file in files]
        images = [await state.decode(request.receive, read, deadline=deadline) for read in reads]
        prepare = partial(_prepare_instruction, body, seed, images)
        answer = ImageAnswer(state, "edit", body, seed, _unchanged, state.model.unlearned("edits"))
        return await _respond(request, answer, prepare, deadline=deadline)
    if len(files) > 1:
        raise invalid(f"image must be one file if there is a mask, got {len(files)}", param="mask")
    read = partial(_read_masked, files[0], await body.mask.read(), state)
    masked = await state.decode(request.receive, read, deadline=deadline)
    prepare = partial(_prepare_inpainting, body, seed, masked)
    warning = state.model.unlearned("drawings", "fills")
    answer = ImageAnswer(state, "edit", body, seed, masked.paste, warning)
    return await _respond(request, answer, prepare, deadline=deadline)


def _prepare_instruction(
    body: EditForm, seed: int, images: Sequence[Image.Image], model: UniTok
) -> EngineRequest:
    """Build the request for an image after some images and a prompt."""
    document = (*(Segment("image", image) for image in images), Segment("text", body.prompt))
    return model.request(document, target="image", seed=seed, size=body.shape, **body.sampling)


@dataclass(frozen=True)
class MaskedImage:
    """An image at the model's size and its mask, white where it is redrawn."""

    image: Image.Image
    mask: Image.Image

    def paste(self, drawn: Image.Image) -> Image.Image:
        """Restore the image's own pixels outside the mask of a drawing."""
        return Image.composite(drawn, self.image, self.mask)


def _read_masked(file: bytes, mask: bytes, state: ServerState) -> MaskedImage:
    image = image_io.read_image(file, param="image")
    fitted = state.image_modality.fit(image)
    return MaskedImage(fitted, image_io.read_mask(mask, image, fitted.size, param="mask"))


def _prepare_inpainting(body: EditForm, seed: int, masked: MaskedImage, model: UniTok) -> EngineRequest:
    """Build the request for an image whose codes outside the mask are fixed."""
    size = masked.image.size[::-1]
    if body.shape not in (None, size):
        raise ValueError(f"size must be {size[1]}x{size[0]}, that of the masked image, got {body.size}")
    free = image_masks.free_cells(masked.mask, model.codec.image.tokenizer.cell)
    prompt = editing.inpainting_prompt(model, masked.image, free, body.prompt)
    request = model.request(prompt, target="image", seed=seed, size=size, **body.sampling)
    (fixed,) = editing.masked_codes(model.codec, [masked.image], [free])
    return replace(request, fixed=fixed)


# -- responses of both routes


async def _respond(
    request: Request,
    answer: "ImageAnswer",
    prepare: Callable[[UniTok], EngineRequest],
    *,
    deadline: Deadline,
) -> Response:
    """Answer with the images of a job, all at once or streamed with previews."""
    state, body = answer.state, answer.body
    job = PendingJob(
        state.worker,
        answer.kind,
        prepare,
        deadline=deadline,
        copies=body.n,
        previews=body.partial_images if body.stream else 0,
    )
    if body.stream:
        return await stream(job, request.receive, answer.events(job))
    copies = await complete(job, request.receive)
    return JSONResponse(await state.encoders.run(answer.response, copies, deadline=deadline))


def _unchanged(image: Image.Image) -> Image.Image:
    return image


@dataclass(frozen=True)
class ImageAnswer:
    """Images in OpenAI's format; `warning` tells what the model never learned."""

    state: ServerState
    kind: Kind
    body: ImageRequest
    seed: int
    postprocess: Callable[[Image.Image], Image.Image]
    warning: str | None = None

    def response(self, copies: Sequence[Done]) -> dict:
        """The body of a response that is not streamed."""
        images = [self.postprocess(done.document[-1].content) for done in copies]
        data = [{"b64_json": image_io.encode_base64(image, self.body.output_format)} for image in images]
        return {
            "created": int(time.time()),
            "data": data,
            "output_format": self.body.output_format,
            "size": _size(images[0]),
            "usage": _usage(copies),
            "seed": self.seed,
            **warning_fields(self.warning),
        }

    async def events(self, job: PendingJob) -> AsyncIterator[str]:
        """The events of a stream: previews, grey where nothing is drawn yet, and the complete images.

        `image_index` tells which of the n images an event belongs to.
        """
        previews: dict[int, int] = {}
        latest: dict[int, Image.Image] = {}
        try:
            async for event in job.events():
                if isinstance(event, Progress):
                    latest[event.copy] = self.postprocess(event.update.content)
                    if not event.update.done:
                        index = previews.get(event.copy, 0)
                        previews[event.copy] = index + 1
                        fields = {"partial_image_index": index}
                        yield await self._event(job, "partial_image", latest[event.copy], event.copy, fields)
                elif isinstance(event, Done):
                    fields = {"usage": _usage([event]), "seed": self.seed, **warning_fields(self.warning)}
                    yield await self._event(job, "completed", latest[event.copy], event.copy, fields)
        except ApiError as error:
            yield server_sent_event(error.content)

    async def _event(self, job: PendingJob, name: str, image: Image.Image, copy: int, fields: dict) -> str:
        event_type, format = f"{EVENTS[self.kind]}.{name}", self.body.output_format
        encode = image_io.encode_base64
        content = {
            "type": event_type,
            "b64_json": await self.state.encoders.run(encode, image, format, deadline=job.deadline),
            "created_at": int(time.time()),
            "size": _size(image),
            "output_format": format,
            "quality": "auto",
            "background": "opaque",
            "image_index": copy,
            **fields,
        }
        return server_sent_event(content, name=event_type)


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"


def _usage(copies: Sequence[Done]) -> dict:
    """Count codes as tokens: the prompt once, and all copies."""
    prompt = copies[0].prompt_codes
    output = sum(done.new_codes["image"] for done in copies)
    return {
        "input_tokens": sum(prompt.values()),
        "input_tokens_details": {"text_tokens": prompt["text"], "image_tokens": prompt["image"]},
        "output_tokens": output,
        "total_tokens": sum(prompt.values()) + output,
    }
