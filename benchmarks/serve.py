"""A server under mixed requests, all at once against one after another.

python benchmarks/serve.py [--requests 200] [--rounds 3] [--json FILE]

A random model of a small size is saved and served by sample/serve.py in a process of its own, on one thread;
the clients are in this one. Four kinds in turn: a question about a picture, a drawing, a caption, an edit by
a mask. Each round sends the same requests twice, one after another and all together, and must get the same
answers both times.
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
"""Times the throughput of one request at a time."""
LETTERS = 24  # of a written answer


class Round(NamedTuple):
    """Seconds in all, of each request, and what was answered."""

    seconds: float
    each: list[float]
    answers: list[str | None]


@contextmanager
def served(size: str, rows: int, waiting: int) -> Iterator[str]:
    """The address of a server of a random model."""
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


def picture(number: int) -> bytes:
    """A PNG file of its own."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (number * 37 % 256, number * 91 % 256, 80)).save(file, "PNG")
    return file.getvalue()


def question(number: int) -> dict:
    """A picture, in every other request with a question; without one a caption is wanted."""
    url = f"data:image/png;base64,{base64.b64encode(picture(number)).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    if number % 4:
        parts.append({"type": "text", "text": f"what is it? {number}"})
    messages = [{"role": "user", "content": parts}]
    settings = {"seed": number, "temperature": 1.0, "max_tokens": LETTERS}
    return {"json": {"model": "unitok", "messages": messages, **settings}}


def drawing(number: int) -> dict:
    """A drawing of a few words."""
    return {"json": {"prompt": f"a large star {number}", "seed": number}}


def edit(number: int) -> dict:
    """The lower half of a picture drawn anew."""
    mask, file = Image.new("L", (64, 64)), io.BytesIO()
    mask.paste(255, (0, 32, 64, 64))
    mask.save(file, "PNG")
    files = {"image": ("a.png", picture(number)), "mask": ("m.png", file.getvalue())}
    return {"data": {"prompt": f"a star {number}", "seed": str(number)}, "files": files}


KINDS: list[tuple[str, Callable[[int], dict]]] = [
    ("/v1/chat/completions", question),
    ("/v1/images/generations", drawing),
    ("/v1/chat/completions", question),
    ("/v1/images/edits", edit),
]


async def send(address: str, count: int, *, together: bool) -> Round:
    """So many requests; an answer that did not come is None."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    each, answers = [0.0] * count, [None] * count

    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits) as client:

        async def one(number: int) -> None:
            path, make = KINDS[number % len(KINDS)]
            started = time.perf_counter()
            try:
                answer = await client.post(path, **make(number))
                answer.raise_for_status()
            except httpx.HTTPError as error:
                print(f"request {number} was lost: {error!r}", file=sys.stderr)
                return
            each[number], answers[number] = time.perf_counter() - started, said(answer.json())

        started = time.perf_counter()
        if together:
            await asyncio.gather(*map(one, range(count)))
        else:
            for number in range(count):
                await one(number)
    return Round(time.perf_counter() - started, each, answers)


def said(answer: dict) -> str:
    """What an answer consists of, without its times and numbers."""
    if "choices" in answer:
        return str(answer["choices"][0]["message"]["content"])
    return answer["data"][0]["b64_json"]


def measure(address: str, *, count: int, rounds: int, rows: int) -> list[Row]:
    """Both ways in turn, after one short round that does not count."""
    for together in (False, True):
        asyncio.run(send(address, min(count, 16), together=together))
    alone, all_at_once = [], []
    for _ in range(rounds):
        alone.append(asyncio.run(send(address, count, together=False)))
        all_at_once.append(asyncio.run(send(address, count, together=True)))
    slow = statistics.median(found.seconds for found in alone)
    fast = statistics.median(found.seconds for found in all_at_once)
    lost = sum(answer is None for found in (*alone, *all_at_once) for answer in found.answers)
    other = sum(
        a != b
        for one, other in zip(alone, all_at_once, strict=True)
        for a, b in zip(one.answers, other.answers, strict=True)
    )
    p95, p95_alone = (
        statistics.median(statistics.quantiles(found.each, n=20)[-1] for found in side)
        for side in (all_at_once, alone)
    )
    ratio, bound = slow / fast, (rows + count) * fast / count  # a full server's last request waits so long
    name = f"{count} requests at once"
    return [
        Row(name, count / fast, "requests/s", ratio, BAR, ratio >= BAR, f"{fast:.1f} s"),
        Row("one at a time", count / slow, "requests/s", None, None, True, f"{slow:.1f} s"),
        Row("lost", lost, "", None, 0, not lost),
        Row("answers that differ", other, "", None, None, True, f"of {count * rounds}"),
        Row("p95 latency at once", p95, "s", None, bound, p95 <= bound, f"{p95_alone:.3f} s one at a time"),
    ]


def main() -> None:
    parser = command_line(__doc__, rounds=3)
    parser.add_argument("--requests", type=int, default=200, help="in a round (default 200)")
    parser.add_argument("--size", choices=SIZES, default="tiny", help="weights without ids (default tiny)")
    parser.add_argument("--batch-size", type=int, default=32, help="rows of the server (default 32)")
    options = parser.parse_args()
    with served(options.size, options.batch_size, options.requests) as address:
        finish(
            measure(address, count=options.requests, rounds=options.rounds, rows=options.batch_size),
            options.json,
        )


if __name__ == "__main__":
    main()
