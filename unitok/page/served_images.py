"""Serves images as files, each written once. Knows no model.

Gradio itself writes an image again whenever it is shown, even while a browser is still reading the file.
"""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image

from unitok.atomic_files import write_bytes


def serve_image(image: Image.Image) -> str:
    """Write an image as a PNG file that Gradio may serve; return its path. The file is complete or absent."""
    png = BytesIO()
    image.save(png, "PNG")
    path = Path(get_upload_folder()) / sha256(png.getvalue()).hexdigest() / "picture.png"
    if not path.exists():
        write_bytes(path, png.getvalue())
    return str(path)
