"""Pictures by the names that benchmarks call them: of a folder, or of tar shards. Knows no questions."""

import re
import tarfile
from pathlib import Path

from PIL import Image

from unitok.data.images import load_image
from unitok.data.sources import WebDataset


class NamedPictures:
    """The pictures of a folder, those below it, and those in its tar files, read when they are asked for.

    A name is a file's own name, with or without folders and suffix, or COCO's number: 310196 is also
    000000310196.jpg and COCO_val2014_000000310196.jpg.

    Raises FileNotFoundError where the folder has no picture.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.places: dict[str, Path | tuple[Path, int, int]] = {}
        for file in sorted(self.path.rglob("*")):
            if file.suffix.lower() in WebDataset.PICTURES:
                self._add(file.name, file)
            elif file.suffix == ".tar":
                self._add_shard(file)
        if not self.places:
            raise FileNotFoundError(f"the folder {path} has no pictures, nor tar files with any")

    def _add_shard(self, file: Path) -> None:
        with tarfile.open(file, "r:") as archive:
            for info in archive:
                if info.isreg() and Path(info.name).suffix.lower() in WebDataset.PICTURES:
                    self._add(Path(info.name).name, (file, info.offset_data, info.size))

    def _add(self, name: str, place: Path | tuple[Path, int, int]) -> None:
        for called in (name, Path(name).stem, _number(name)):
            self.places.setdefault(called, place)

    def __getitem__(self, name: str) -> Image.Image:
        """The picture of a name. Raises ValueError naming one that is not there."""
        last = Path(name).name
        found = (self.places.get(called) for called in (last, Path(last).stem, _number(last)))
        place = next((place for place in found if place is not None), None)
        if place is None:
            raise ValueError(f"{self.path} has no picture {name}")
        if isinstance(place, Path):
            return load_image(place)
        file, offset, size = place
        with file.open("rb") as opened:
            opened.seek(offset)
            return load_image(opened.read(size), name=f"{file}:{name}")


def _number(name: str) -> str:
    """COCO's number of a file, or of a number; the name itself where it is none."""
    match = re.fullmatch(r"(?:(?:COCO_\w+_)?(\d{12})|(\d+))", Path(name).stem)
    return str(int(match[1] or match[2])) if match else name
