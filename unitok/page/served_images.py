"""Serves images as files, each written once. Knows no model.

Gradio writes a picture anew whenever it is shown again, also while a browser is still reading it.
"""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image

from unitok.atomic_files import write_bytes


def kept(picture: Image.Image) -> str:
    """The path of a PNG file of the picture, where Gradio may serve it; complete or absent."""
    coded = BytesIO()
    picture.save(coded, "PNG")
    path = Path(get_upload_folder()) / sha256(coded.getvalue()).hexdigest() / "picture.png"
    if not path.exists():
        write_bytes(path, coded.getvalue())
    return str(path)
