"""Serve a model with an OpenAI-compatible API: unitok serve --model runs/demo/model"""

import math
import os
from importlib.util import find_spec

from unitok.console import Parser, command, run_options

NEEDED = ("fastapi", "uvicorn", "python_multipart")


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok serve",
        description="Serve chat, image generation and editing with an OpenAI-compatible API, on 127.0.0.1 "
        "by default. If UNITOK_API_KEY is set, clients must send it.",
    )
    add = parser.add_argument
    parser.add_model()
    add("--name", default="unitok", help="name by which clients ask for the model")
    add("--host", default="127.0.0.1", help="address; one that is not local needs UNITOK_API_KEY")
    add("--port", type=int, default=8000, help="0 takes a free port")
    add("--batch-size", type=int, default=32, help="documents per batch")
    add("--queue", type=int, default=256, help="documents that may wait; more get status 429")
    add("--max-body", type=float, default=20, metavar="MB", help="largest body; more gets status 413")
    add("--timeout", type=float, default=300, metavar="SECONDS", help="longest request; more gets status 504")
    add("--allow-origin", action="append", default=[], metavar="URL",
        help="origin of web pages allowed by CORS, like http://localhost:3000; repeatable")  # fmt: skip
    add("--no-access-log", dest="access_log", action="store_false",
        help="do not write a line about each request to stderr")  # fmt: skip
    add("--threads", type=int, help="CPU threads of the model (default: all cores but one)")
    return parser


def _bytes(megabytes: float) -> int:
    if not 0 < megabytes < math.inf:
        raise ValueError(f"--max-body must be more than 0 MB, got {megabytes:g}")
    return max(1, int(megabytes * 2**20))


@command("unitok serve")
def main(args: list[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    options = arguments().parse_args(args)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)}: not found; install the server with python -m pip install -e '.[serve]'"
        )
    from unitok import UniTok
    from unitok.server.app import serve
    from unitok.server.middleware import Limits

    model = UniTok.from_pretrained(options.model, **run_options(options))
    serve(
        model,
        name=options.name,
        host=options.host,
        port=options.port,
        threads=options.threads,
        access_log=options.access_log,
        batch_size=options.batch_size,
        queue_size=options.queue,
        origins=options.allow_origin,
        limits=Limits(
            max_body=_bytes(options.max_body),
            max_requests=2 * (options.batch_size + options.queue),
            timeout=options.timeout,
            api_key=os.environ.get("UNITOK_API_KEY") or None,
        ),
    )
