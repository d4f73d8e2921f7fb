"""Serves images as files, each written once, with what they were made from. Knows no model.

Gradio itself writes an image again whenever it is shown, even while a browser is still reading the file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unitok.atomic_files import write_bytes

KEY = "unitok"
"""Key of the PNG's text that has the settings, as JSON; prompt and seed also have keys of their own."""


def serve_image(image: Image.Image, made: Mapping[str, Any] | None = None) -> str:
    """Write an image as a PNG file that Gradio may serve; return its path. The file is complete or absent.

    Args:
        image: the image.
        made: what it was made from, such as prompt and seed, for the file's name and the PNG's text.
    """
    text = PngInfo()
    for name, value in (made or {}).items():
        if name in ("prompt", "seed"):
            text.add_itxt(name, str(value))
    if made:
        text.add_itxt(KEY, json.dumps(dict(made)))
    png = BytesIO()
    image.save(png, "PNG", pnginfo=text)
    path = Path(get_upload_folder()) / sha256(png.getvalue()).hexdigest() / f"{file_name(made or {})}.png"
    if not path.exists():
        write_bytes(path, png.getvalue())
    return str(path)


def file_name(made: Mapping[str, Any]) -> str:
    """The name of an image's file, such as "a-large-red-star-seed-5"."""
    words = re.sub(r"[^\w]+", "-", str(made.get("prompt", "")).lower()).strip("-")[:60]
    seed = f"seed-{made['seed']}" if "seed" in made else ""
    return "-".join(filter(None, (words, seed))) or "picture"


def made_from(path: str | BytesIO) -> dict[str, Any]:
    """What a served image was made from; empty if that is not recorded."""
    with Image.open(path) as image:
        return json.loads(image.info.get(KEY, "{}"))


def add_gallery(name: str, value: Sequence[tuple[str, str]] = (), *, columns: int = 2) -> gr.Gallery:
    """Add the gallery of a tab's images, as high as they are; handlers get (path, caption) of each."""
    return gr.Gallery(
        list(value), label=name, show_label=False, columns=columns, object_fit="contain", format="png",
        type="filepath", buttons=["download"], elem_classes="image-gallery", interactive=False,
    )  # fmt: skip
