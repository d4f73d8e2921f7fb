"""A server under mixed requests, concurrently against one after another.

python benchmarks/serve.py [--requests 200] [--rounds 3] [--json FILE]

A small random model is served by sample/serve.py in its own process, on one thread; the clients run in this
one. Four kinds of requests in turn: a question about an image, a drawing, a caption, an edit with a mask.
Each round sends the same requests twice, one after another and concurrently, and must get the same answers.
"""

import asyncio
import base64
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from compare import Row, command_line, finish
from decode import SIZES, model_of
from PIL import Image

ROOT = Path(__file__).parents[1]
BAR = 3.0
"""Throughput as a multiple of that of one request at a time."""
MAX_TOKENS = 24  # of a text answer


class Round(NamedTuple):
    """Total seconds, the latency of each request, and the answers."""

    seconds: float
    latencies: list[float]
    answers: list[str | None]


@contextmanager
def run_server(size: str, rows: int, waiting: int) -> Iterator[str]:
    """Serve a random model; yields the address."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        model_of(size, text=512, image=256, dtype=torch.float32).save_pretrained(Path(folder) / "model")
        options = ["--model", f"{folder}/model", "--port", "0", "--device", "cpu", "--threads", "1"]
        options += ["--batch-size", str(rows), "--queue", str(waiting)]
        process = subprocess.Popen(
            [sys.executable, "-m", "sample.serve", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            yield process.stdout.readline().split("/v1")[0]
        finally:
            process.terminate()
            code = process.wait(60)
            assert code == 0, f"the server ended with code {code}"


def image_file(number: int) -> bytes:
    """A PNG file that differs by number."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (number * 37 % 256, number * 91 % 256, 80)).save(file, "PNG")
    return file.getvalue()


def question(number: int) -> dict:
    """An image, in every other request with a question; without one the answer is a caption."""
    url = f"data:image/png;base64,{base64.b64encode(image_file(number)).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    if number % 4:
        parts.append({"type": "text", "text": f"what is it? {number}"})
    messages = [{"role": "user", "content": parts}]
    settings = {"seed": number, "temperature": 1.0, "max_tokens": MAX_TOKENS}
    return {"json": {"model": "unitok", "messages": messages, **settings}}


def drawing(number: int) -> dict:
    """A request to draw a few words."""
    return {"json": {"prompt": f"a large star {number}", "seed": number}}


def edit(number: int) -> dict:
    """A request to redraw the lower half of an image."""
    mask, file = Image.new("L", (64, 64)), io.BytesIO()
    mask.paste(255, (0, 32, 64, 64))
    mask.save(file, "PNG")
    files = {"image": ("a.png", image_file(number)), "mask": ("m.png", file.getvalue())}
    return {"data": {"prompt": f"a star {number}", "seed": str(number)}, "files": files}


KINDS: list[tuple[str, Callable[[int], dict]]] = [
    ("/v1/chat/completions", question),
    ("/v1/images/generations", drawing),
    ("/v1/chat/completions", question),
    ("/v1/images/edits", edit),
]


async def send(address: str, count: int, *, concurrently: bool) -> Round:
    """Send `count` requests; lost answers are None."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    latencies, answers = [0.0] * count, [None] * count

    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits) as client:

        async def send_one(number: int) -> None:
            path, make = KINDS[number % len(KINDS)]
            start = time.perf_counter()
            try:
                answer = await client.post(path, **make(number))
                answer.raise_for_status()
            except httpx.HTTPError as error:
                print(f"request {number} was lost: {error!r}", file=sys.stderr)
                return
            latencies[number], answers[number] = time.perf_counter() - start, content_of(answer.json())

        start = time.perf_counter()
        if concurrently:
            await asyncio.gather(*map(send_one, range(count)))
        else:
            for number in range(count):
                await send_one(number)
    return Round(time.perf_counter() - start, latencies, answers)


def content_of(answer: dict) -> str:
    """The content of an answer, without its times and ids."""
    if "choices" in answer:
        return str(answer["choices"][0]["message"]["content"])
    return answer["data"][0]["b64_json"]


def measure(address: str, *, count: int, rounds: int, rows: int) -> list[Row]:
    """Measure both ways in turn, after a short warm-up round."""
    for concurrently in (False, True):
        asyncio.run(send(address, min(count, 16), concurrently=concurrently))
    sequential, concurrent = [], []
    for _ in range(rounds):
        sequential.append(asyncio.run(send(address, count, concurrently=False)))
        concurrent.append(asyncio.run(send(address, count, concurrently=True)))
    slow = statistics.median(result.seconds for result in sequential)
    fast = statistics.median(result.seconds for result in concurrent)
    lost = sum(answer is None for result in (*sequential, *concurrent) for answer in result.answers)
    different = sum(
        a != b
        for one, other in zip(sequential, concurrent, strict=True)
        for a, b in zip(one.answers, other.answers, strict=True)
    )
    p95, p95_alone = (
        statistics.median(statistics.quantiles(result.latencies, n=20)[-1] for result in results)
        for results in (concurrent, sequential)
    )
    ratio, bound = slow / fast, (rows + count) * fast / count  # latency of the last request in a full server
    name = f"{count} requests at once"
    return [
        Row(name, count / fast, "requests/s", ratio, BAR, ratio >= BAR, f"{fast:.1f} s"),
        Row("one at a time", count / slow, "requests/s", None, None, True, f"{slow:.1f} s"),
        Row("lost", lost, "", None, 0, not lost),
        Row("answers that differ", different, "", None, None, True, f"of {count * rounds}"),
        Row("p95 latency at once", p95, "s", None, bound, p95 <= bound, f"{p95_alone:.3f} s one at a time"),
    ]


def main() -> None:
    parser = command_line(__doc__, rounds=3)
    parser.add_argument("--requests", type=int, default=200, help="requests per round (default 200)")
    parser.add_argument(
        "--size", choices=SIZES, default="tiny", help="weights without embeddings (default tiny)"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="of the server (default 32)")
    options = parser.parse_args()
    with run_server(options.size, options.batch_size, options.requests) as address:
        finish(
            measure(address, count=options.requests, rounds=options.rounds, rows=options.batch_size),
            options.json,
        )


if __name__ == "__main__":
    main()
