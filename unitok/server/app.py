"""The server: routes, error handlers, start and shutdown."""

import ipaddress
import logging
import math
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType

import torch
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from unitok.api.arguments import as_int
from unitok.api.learned_tasks import tasks_to_json
from unitok.api.unitok import UniTok
from unitok.server import chat, images, responses
from unitok.server.http.connection import Connection
from unitok.server.http.docs_page import docs_page
from unitok.server.http.errors import ApiError, add_error_handlers
from unitok.server.metrics import Metrics
from unitok.server.middleware import Gate, Limits, access
from unitok.server.state import ServerState
from unitok.server.worker import Worker

router = APIRouter()
GRACE_PERIOD = 30
"""Seconds to finish the requests being answered after the signal to stop."""
ORIGIN = re.compile(
    r"\*|[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]{1,5})?|[a-z]+://\[[0-9a-f:.]+\](:[0-9]{1,5})?"
)
HOST = re.compile(r"[A-Za-z0-9._:%-]+")
FAILURE_PERIOD = 5.0
"""Seconds that a server whose engine has failed answers with that error before it exits."""


@router.get("/v1/models", response_class=JSONResponse)
@router.head("/v1/models", include_in_schema=False)
@router.get("/v1/models/", include_in_schema=False)
def models(request: Request) -> dict:
    """List the only model."""
    return {"object": "list", "data": [_describe(request.app.state.server)]}


@router.get("/v1/models/{name:path}", response_class=JSONResponse)
@router.head("/v1/models/{name:path}", include_in_schema=False)
def model(request: Request, name: str) -> dict:
    """Describe the model of this name."""
    state: ServerState = request.app.state.server
    state.check_model(name)
    return _describe(state)


def _describe(state: ServerState) -> dict:
    tasks = state.model.tasks
    return {
        "id": state.name,
        "object": "model",
        "created": state.created,
        "owned_by": "unitok",
        "input_modalities": ["text", "image"],
        "output_modalities": list(state.model.codec.modalities),
        **({} if tasks is None else {"tasks": tasks_to_json(tasks)}),
    }


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """Describe the routes and their fields to people."""
    page = docs_page(request.app.openapi(), name=request.app.state.server.name)
    return HTMLResponse(
        page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    )


@router.get("/health", response_class=JSONResponse)
@router.head("/health", include_in_schema=False)
def health(request: Request) -> dict:
    """Report that requests are answered. Raises ApiError if they are not."""
    worker: Worker = request.app.state.server.worker
    if not worker.alive:
        raise ApiError(503, worker.stop_reason, code="stopping")
    return {"status": "ok"}


@router.get("/metrics", response_class=PlainTextResponse)
@router.head("/metrics", include_in_schema=False)
def metrics(request: Request) -> str:
    """Report metrics in Prometheus' format."""
    state: ServerState = request.app.state.server
    documents = {"documents_held": state.worker.held, "documents_most": state.worker.capacity}
    return state.metrics.render(requests_running=state.metrics.running, **documents)


def build(
    model: UniTok,
    *,
    name: str = "unitok",
    batch_size: int = 32,
    queue_size: int = 256,
    limits: Limits | None = None,
    origins: Sequence[str] = (),
) -> FastAPI:
    """Build the app that serves a model.

    Args:
        model: the model to serve.
        name: the name by which clients ask for it.
        batch_size: documents generated at once.
        queue_size: documents that may wait; more are refused.
        limits: limits of requests.
        origins: origins of web pages that may send requests (CORS), like http://localhost:3000, or * for all.

    Raises:
        ValueError: batch_size below 1, queue_size below 0, an invalid origin, or a name that no client could
            ask for.
    """
    if not name.isprintable() or name.strip() != name or not name:
        raise ValueError(f"name must be printable text without surrounding whitespace, got {name!r}")
    if queue_size < 0:
        raise ValueError(f"queue_size must be at least 0, got {queue_size}")
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"an origin must be like http://localhost:3000, without a path, got {origin!r}")
    limits, counters = limits or Limits(), Metrics()
    worker = Worker(model, batch_size=batch_size, queue_size=queue_size, metrics=counters)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    # FastAPI's documentation pages would load their scripts from another host
    app = FastAPI(title="unitok", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.server = ServerState(model, name, worker, limits, counters)
    app.add_middleware(Gate, limits=limits, metrics=counters)
    if origins:  # in front of the gate: preflight requests have no key, and refusals need CORS headers too
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"],
            expose_headers=["Retry-After"],
        )  # fmt: skip
    add_error_handlers(app)
    for routes in (router, chat.router, responses.router, images.router):
        app.include_router(routes)
    return app


class Server(uvicorn.Server):
    """Stops gracefully at the first signal, at once at the second, and when its worker has failed."""

    def __init__(self, config: uvicorn.Config, worker: Worker):
        super().__init__(config)
        self._worker, self._failed_at = worker, math.inf

    async def on_tick(self, counter: int) -> bool:
        """Return whether to exit; uvicorn calls this several times a second."""
        if self._worker.failed:
            self._failed_at = min(self._failed_at, time.monotonic())
            self.should_exit |= time.monotonic() > self._failed_at + FAILURE_PERIOD
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Set the exit flags alone: uvicorn's handler would raise the signal again after shutdown."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(app: FastAPI, *, host: str = "127.0.0.1", port: int = 8000) -> tuple[Server, socket.socket]:
    """Return a server for an app and the socket to run it with, which already accepts connections.

    Raises:
        ValueError: the port is out of range.
        OSError: the port is in use, or the host is not this machine's.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"port must be in 0..{2**16 - 1}, got {port}")
    state: ServerState = app.state.server
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ws="none", lifespan="on", server_header=False,
        timeout_graceful_shutdown=GRACE_PERIOD, http=partial(Connection, timeout=state.limits.timeout),
    )  # fmt: skip
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Server(config, state.worker), socket.create_server((host, port), family=family, backlog=1024)


def serve(
    model: UniTok, *, host: str, port: int, threads: int | None = None, access_log: bool = True, **options
) -> None:
    """Serve a model until SIGTERM or Ctrl-C; `options` as in `build`.

    Args:
        model: the model to serve.
        host, port: the address; port 0 takes a free one.
        threads: CPU threads of the model; None leaves one core to the server.
        access_log: write a line about each request to stderr.

    Raises:
        ValueError: an invalid host, one that other machines can reach without a key, or threads below 1.
        OSError: see `listen`.
        SystemExit: the engine failed; a supervisor may restart the process.
    """
    limits: Limits = options["limits"]
    if not HOST.fullmatch(host):
        raise ValueError(f"host must be an address or name of this machine, like 127.0.0.1, got {host!r}")
    if limits.api_key is None and not _is_local(host):
        raise ValueError(f"host must be local unless UNITOK_API_KEY is set, got {host}")
    default = max(1, (os.cpu_count() or 2) - 1)
    torch.set_num_threads(default if threads is None else as_int(threads, "threads", minimum=1))
    app = build(model, **options)
    server, listener = listen(app, host=host, port=port)
    address, port = listener.getsockname()[:2]
    if access_log:
        _log_to_stderr(access)
    print(f"http://{f'[{address}]' if ':' in address else address}:{port}/v1  (Ctrl-C stops it)", flush=True)
    server.run(sockets=[listener])
    if app.state.server.worker.failed:
        raise SystemExit(1)


def _log_to_stderr(log: logging.Logger) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
