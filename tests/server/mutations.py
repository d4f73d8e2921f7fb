"""Nearly valid requests: valid ones with a value, some bytes or a header changed."""

import base64
import json
import random
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

from PIL import Image

ODD = [
    None, True, False, 0, -1, 1, 2, 10, 11, 1.5, 1e308, 2**63, -(2**70), "", " ", "x", "auto", "0x0", "8x12",
    "12x8", "99999x99999", "unitok", "\x00", "\u202e", "é", "\ud800", "a" * 3000, "b64_json", "url", "text",
    "image", "data:image/png;base64,", "data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "http://192.0.2.1/a.png",
    "file:///etc/passwd", [], {}, [[]], {"": None}, [None], float("nan"), float("inf"),
]  # fmt: skip
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "multipart/form-data",
    "",
    "a/b; =;",
]
BOUNDARY = "boundary"


class Sent(NamedTuple):
    """A request: path, headers and body."""

    path: str
    headers: dict[str, str]
    body: bytes

    def raw(self, host: str) -> bytes:
        """The whole request as bytes."""
        headers = {"host": host, "content-length": str(len(self.body)), "connection": "close", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


def png(color: str = "red", mode: str = "RGB", size: tuple[int, int] = (12, 8)) -> bytes:
    """A small PNG file."""
    file = BytesIO()
    Image.new(mode, size, color).save(file, "PNG")
    return file.getvalue()


URI = f"data:image/png;base64,{base64.b64encode(png()).decode()}"


def chat(rng: random.Random) -> dict[str, Any]:
    """A valid conversation."""
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": URI}}]
    return {
        "model": "unitok",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": parts[: rng.randint(1, 2)]},
        ],
        "modalities": rng.choice([["text"], ["image"], ["text", "image"]]),
        "n": rng.randint(1, 2),
        "max_tokens": rng.randint(1, 8),
        "temperature": 1.0,
        "top_p": 0.9,
        "seed": 1,
        "stop": ["a", "bc"],
        "stream": rng.random() < 0.3,
        "stream_options": {"include_usage": True},
    }


def response(rng: random.Random) -> dict[str, Any]:
    """A valid request of the Responses API."""
    parts = [{"type": "input_text", "text": "what is it?"}, {"type": "input_image", "image_url": URI}]
    call = {"type": "image_generation_call", "id": "ig_1", "result": URI.split(",")[1], "status": "completed"}
    return {
        "model": "unitok",
        "input": rng.choice(
            ["a star", [{"role": "user", "content": parts}], [{"role": "user", "content": "a"}, call]]
        ),
        "instructions": "be brief",
        "tools": [{"type": "image_generation", "partial_images": 1, "size": "12x8", "output_format": "png"}],
        "tool_choice": rng.choice(["auto", "none", "required", {"type": "image_generation"}]),
        "max_output_tokens": rng.randint(1, 8),
        "temperature": 1.0,
        "top_p": 0.9,
        "text": {"format": {"type": "text"}},
        "seed": 1,
        "stream": rng.random() < 0.3,
    }


def drawing(rng: random.Random) -> dict[str, Any]:
    """A valid request for images."""
    return {
        "prompt": "a star", "n": rng.randint(1, 2), "size": "12x8", "response_format": "b64_json", "seed": 1,
        "stream": rng.random() < 0.3, "partial_images": 2, "negative_prompt": "no", "guidance_scale": 2.0,
        "output_format": rng.choice(["png", "jpeg", "webp"]),
    }  # fmt: skip


def edit(rng: random.Random) -> bytes:
    """A valid edit form."""
    fields: list[tuple[str, bytes]] = [
        ('name="prompt"', b"a star"),
        ('name="n"', b"1"),
        ('name="seed"', b"1"),
    ]
    fields.append(('name="image"; filename="a.png"\r\nContent-Type: image/png', png()))
    if rng.random() < 0.7:
        fields.append(('name="mask"; filename="m.png"', png("white", "L")))
    if rng.random() < 0.3:
        fields.append(('name="stream"', b"true"))
    lines = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in fields
    ]
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


PATHS = {
    chat: "/v1/chat/completions",
    response: "/v1/responses",
    drawing: "/v1/images/generations",
    edit: "/v1/images/edits",
}


@cache
def costly() -> tuple[dict[str, Any], ...]:
    """Small parts that are costly for a server: many scans, many pixels, long texts."""
    images = [
        jpeg(5000, (2048, 2048)),
        jpeg(90, (2048, 2048)),
        jpeg(0, (5000, 4000)),
        png(size=(4000, 4000)),
    ]
    uris = (f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images)
    texts = ({"type": "text", "text": letters * 60_000} for letters in ("a", "\u00e9", "a "))
    return (*({"type": "image_url", "image_url": {"url": uri}} for uri in uris), *texts)


def jpeg(scans: int, size: tuple[int, int]) -> bytes:
    """A progressive JPEG with `scans` additional empty scans."""
    file = BytesIO()
    Image.new("RGB", size).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last : last + 10] * scans + b"\xff\xd9"


def heavy(rng: random.Random) -> Sent:
    """A conversation of costly parts, sometimes over the size limit."""
    parts = [rng.choice(costly()) for _ in range(rng.choice([1, 2, 16, 60]))]
    content = {**chat(rng), "messages": [{"role": "user", "content": parts}] * rng.choice([1, 1, 2])}
    body = json.dumps(content, ensure_ascii=False).encode()
    return Sent("/v1/chat/completions", {"content-type": "application/json"}, body)


def mutated(number: int) -> Sent:
    """The request with this number; one in ten is valid, one in thirty heavy."""
    rng = random.Random(number)
    if rng.random() < 1 / 30:
        return heavy(rng)
    kind = rng.choice(list(PATHS))
    if kind is edit:
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        body = edit(rng)
    else:
        headers, content = {"content-type": "application/json"}, kind(rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            content = _mutate(content, rng)
        body = json.dumps(content).encode()
    if rng.random() < 0.4:
        body = _corrupt(body, rng)
    if rng.random() < 0.05:
        headers["content-type"] = rng.choice(TYPES)
    return Sent(PATHS[kind], headers, body)


def _mutate(node: Any, rng: random.Random) -> Any:
    """Replace, remove or duplicate a part of a value."""
    if not isinstance(node, dict | list) or not node or rng.random() < 0.1:
        return rng.choice(ODD)
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key, copy = rng.choice(keys), node.copy()
    how = rng.random()
    if how < 0.1:
        del copy[key]
    elif how < 0.15 and isinstance(copy, list):
        copy += copy * rng.choice([1, 100])
    else:
        copy[key] = _mutate(copy[key], rng) if rng.random() < 0.7 else rng.choice(ODD)
    return copy


def _corrupt(body: bytes, rng: random.Random) -> bytes:
    """Flip, remove, duplicate or insert bytes."""
    data = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        place, how = rng.randrange(len(data) + 1), rng.random()
        if how < 0.4 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif how < 0.6:
            del data[place : place + rng.randint(1, 40)]
        elif how < 0.8:
            data[place:place] = data[place : place + rng.randint(1, 40)]
        else:
            data[place:place] = rng.choice(
                [b"\x00", b"\xff\xfe", b"[" * 5000, b"1" * 5000, b"\r\n", b'"', b"{}"]
            )
    return bytes(data)
