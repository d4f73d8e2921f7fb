"""The server: routes, error handlers, start and shutdown."""

import ipaddress
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
from fastapi.responses import JSONResponse, PlainTextResponse

from unitok.api.arguments import as_int
from unitok.api.unitok import UniTok
from unitok.server import chat, images
from unitok.server.http.connection import Connection
from unitok.server.http.errors import ApiError, handle
from unitok.server.metrics import Metrics
from unitok.server.middleware import Gate, Limits
from unitok.server.state import Service
from unitok.server.worker import Worker

router = APIRouter()
GRACE = 30
"""Seconds that a server which is told to stop gives to requests that are being answered."""
ORIGIN = re.compile(
    r"\*|[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]{1,5})?|[a-z]+://\[[0-9a-f:.]+\](:[0-9]{1,5})?"
)
HOST = re.compile(r"[A-Za-z0-9._:%-]+")
LAST = 5.0
"""Seconds in which a server whose engine has failed says so before it ends."""


@router.get("/v1/models", response_class=JSONResponse)
@router.head("/v1/models", include_in_schema=False)
@router.get("/v1/models/", include_in_schema=False)
def models(request: Request) -> dict:
    """The one model."""
    return {"object": "list", "data": [_described(request.app.state.service)]}


@router.get("/v1/models/{name:path}", response_class=JSONResponse)
@router.head("/v1/models/{name:path}", include_in_schema=False)
def model(request: Request, name: str) -> dict:
    """The model, by its name."""
    service: Service = request.app.state.service
    service.check(name)
    return _described(service)


def _described(service: Service) -> dict:
    return {"id": service.name, "object": "model", "created": service.created, "owned_by": "unitok"}


@router.get("/health", response_class=JSONResponse)
@router.head("/health", include_in_schema=False)
def health(request: Request) -> dict:
    """Whether requests are carried out. Raises ApiError where they are not."""
    worker: Worker = request.app.state.service.worker
    if not worker.alive:
        raise ApiError(503, worker.why, code="stopping")
    return {"status": "ok"}


@router.get("/metrics", response_class=PlainTextResponse)
@router.head("/metrics", include_in_schema=False)
def figures(request: Request) -> str:
    """Figures in Prometheus' format."""
    service: Service = request.app.state.service
    held = {"documents_held": service.worker.held, "documents_most": service.worker.most}
    return service.metrics.render(requests_running=service.metrics.running, **held)


def build(
    model: UniTok,
    *,
    name: str = "unitok",
    rows: int = 32,
    waiting: int = 256,
    limits: Limits | None = None,
    origins: Sequence[str] = (),
) -> FastAPI:
    """The server of a model, not yet listening.

    Args:
        model: who answers.
        name: by which clients ask for it.
        rows: documents written at once.
        waiting: documents that may wait; more are refused.
        limits: of requests.
        origins: of pages whose scripts browsers may let ask, like http://localhost:3000, or * for all.

    Raises:
        ValueError: no rows, a negative number that may wait, an origin that is none, or a name that no client
            could ask for.
    """
    if not name.isprintable() or name.strip() != name or not name:
        raise ValueError(f"name must be a text without blanks around it, got {name!r}")
    if waiting < 0:
        raise ValueError(f"waiting is 0 or more, not {waiting}")
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"an origin must be like http://localhost:3000, without a path, got {origin!r}")
    limits, metrics = limits or Limits(), Metrics()
    worker = Worker(model, rows=rows, waiting=waiting, metrics=metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    # the pages of FastAPI's documentation would ask another host for their scripts
    app = FastAPI(title="unitok", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = Service(model, name, worker, limits, metrics)
    app.add_middleware(Gate, limits=limits, metrics=metrics)
    if origins:  # before the gate: a browser asks for leave without a key, and reads why it is refused
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"],
            expose_headers=["Retry-After"],
        )  # fmt: skip
    handle(app)
    for part in (router, chat.router, images.router):
        app.include_router(part)
    return app


class Server(uvicorn.Server):
    """Ends when it is told to stop, first politely, the second time at once; and when its worker fails."""

    def __init__(self, config: uvicorn.Config, worker: Worker):
        super().__init__(config)
        self._worker, self._failed_at = worker, math.inf

    async def on_tick(self, counter: int) -> bool:
        """Whether it is to end, asked several times a second."""
        if self._worker.failed:
            self._failed_at = min(self._failed_at, time.monotonic())
            self.should_exit |= time.monotonic() > self._failed_at + LAST
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's would raise the signal again when all is done."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(app: FastAPI, *, host: str = "127.0.0.1", port: int = 8000) -> tuple[Server, socket.socket]:
    """A server of an app and the socket it is to be run with, on which connections already wait.

    Raises:
        ValueError: there is no such port.
        OSError: the port is in use, or the host is not this machine's.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"port is 0 to {2**16 - 1}, not {port}")
    service: Service = app.state.service
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ws="none", lifespan="on", server_header=False,
        timeout_graceful_shutdown=GRACE, http=partial(Connection, patience=service.limits.seconds),
    )  # fmt: skip
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Server(config, service.worker), socket.create_server((host, port), family=family, backlog=1024)


def serve(model: UniTok, *, host: str, port: int, threads: int | None = None, **options) -> None:
    """Serve a model until SIGTERM or Ctrl-C; `options` as of `build`.

    Args:
        host, port: where; 0 takes a free port.
        threads: of the model on a CPU; None leaves one core to the server.

    Raises:
        ValueError: a host that is none or that others can reach, without a key, or less than one thread.
        OSError: as `listen`.
        SystemExit: the engine failed; what watches over the process may start it again.
    """
    limits: Limits = options["limits"]
    if not HOST.fullmatch(host):
        raise ValueError(f"host must be an address or a name of this machine, like 127.0.0.1, got {host!r}")
    if limits.key is None and not _local(host):
        raise ValueError(f"{host} can be reached by others: set a key in UNITOK_API_KEY first")
    spare = max(1, (os.cpu_count() or 2) - 1)
    torch.set_num_threads(spare if threads is None else as_int(threads, "threads", minimum=1))
    app = build(model, **options)
    server, at = listen(app, host=host, port=port)
    address, port = at.getsockname()[:2]
    print(f"http://{f'[{address}]' if ':' in address else address}:{port}/v1  (Ctrl-C stops it)", flush=True)
    server.run(sockets=[at])
    if app.state.service.worker.failed:
        raise SystemExit(1)


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
