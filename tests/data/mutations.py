"""Damaged picture files by the thousand: python -m tests.data.mutations COUNT SEED; says what became of them.

A program of its own, so that a crash of a decoder, a hang and its memory can be seen from outside.
"""

import faulthandler
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from unitok.data.files.images import ImageError, load_image

PATIENCE = 20
"""Seconds that one file may take."""


def as_bytes(image: Image.Image, form: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def originals() -> dict[str, list[bytes]]:
    """Small files of every format, in the modes and codings that it has."""
    values = np.random.default_rng(0).integers(0, 256, (20, 24, 4), np.uint8)
    values[:10] //= 200  # something to compress
    rgba = Image.fromarray(values)
    rgb, gray, palette = rgba.convert("RGB"), rgba.convert("L"), rgba.convert("RGB").quantize(16)
    deep = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[274] = 6
    frames = {"save_all": True, "append_images": [rgb.rotate(180), rgb]}
    kinds: dict[str, list[tuple[Image.Image, dict]]] = {
        "PNG": [*((p, {}) for p in (rgb, gray, palette, rgba, deep)), (rgb, {"exif": exif})],
        "JPEG": [(rgb, {"exif": exif}), (gray, {}), (rgb.convert("CMYK"), {}), (rgb, {"progressive": True})],
        "WEBP": [(rgb, {}), (rgba, {"lossless": True}), (rgb, frames)],
        "GIF": [(palette, {}), (rgb, frames), (palette, {"transparency": 3})],
        "BMP": [(p, {}) for p in (rgb, gray, palette, rgba, rgb.convert("1"))],
        "TIFF": [
            *((rgb, {"compression": name}) for name in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
            *((p, {}) for p in (deep, rgba, rgb.convert("CMYK"), gray.convert("F"))),
        ],
    }
    return {form: [as_bytes(p, form, **options) for p, options in made] for form, made in kinds.items()}


def mutate(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to four damages: bytes, runs, lost and doubled pieces, numbers at their limits, an end cut off."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place, length = rng.randrange(len(made) or 1), rng.randint(1, 16)
        kind = rng.randrange(8)
        if kind <= 1:
            made[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 2:
            made[place : place + length] = rng.randbytes(length)
        elif kind == 3:
            del made[place : place + length]
        elif kind == 4:
            made[place:place] = made[rng.randrange(len(made) or 1) :][:length]
        elif kind == 5:
            size = rng.choice((2, 4))
            made[place : place + size] = rng.choice((b"\xff", b"\x00", b"\x7f")) * size
        elif kind == 6:
            made = made[: rng.randint(0, len(made))]
        else:
            made[place:] = other[rng.randrange(len(other)) :]
    return bytes(made)


def files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    rng, known = random.Random(seed), originals()
    for number in range(count):
        form = list(known)[number % len(known)]
        other = rng.choice(known[rng.choice(list(known))])
        yield form, mutate(rng.choice(known[form]), other, rng)


def main(count: int, seed: int) -> dict:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, slowest = Counter(), 0.0
    for form, content in files(count, seed):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        start = time.monotonic()
        try:
            assert load_image(content).mode == "RGB"
            found[f"{form} read"] += 1
        except ImageError as error:
            found[f"{form} refused"] += 1
            found[error.reason] += 1
        slowest = max(slowest, time.monotonic() - start)
    faulthandler.cancel_dump_traceback_later()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"slowest": slowest, "megabytes": peak // 1024, **found}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
