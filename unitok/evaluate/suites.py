"""What is measured together on each kind of data: reconstructions, captions, drawings. Knows no training."""

from collections.abc import Mapping
from typing import Any

from unitok.bundle import UniTok
from unitok.data.sources import open_data
from unitok.evaluate.report import Report, World, measure, measure_tokenizer
from unitok.evaluate.worlds import easy_vqa_world, pairs_world, shapes_world

FOLDERS = {"easy_vqa": easy_vqa_world, "pairs": pairs_world}
SCENES = 500


def run_suite(
    model: UniTok,
    suite: str,
    *,
    path: str | None = None,
    split: str = "val",
    where: Mapping[str, Any] | None = None,
    count: int | None = None,
    batch_size: int = 128,
) -> Report:
    """Measure a model by the name of a suite.

    Args:
        model: who draws and captions.
        suite: "shapes" renders its scenes; "easy_vqa" and "pairs" read the captioned pictures of `path`.
        path, split: see `open_data`; the suites of data alone take them.
        where: of WebDataset.
        count: pictures measured; None takes 500 scenes, or the whole split.
        batch_size: pictures at once.

    Raises:
        ValueError: an unknown suite, a folder's without a folder, or a count or batch_size below 1.
    """
    if suite not in ("shapes", *FOLDERS):
        raise ValueError(f"suite is one of shapes, {', '.join(FOLDERS)}, not {suite!r}")
    for name, value in (("count", count), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is 1 or more, not {value}")
    if suite == "shapes":
        return shapes_report(model, canvas=_canvas(model), scenes=count or SCENES, batch_size=batch_size)
    if path is None:
        raise ValueError(f"suite {suite} reads a folder of shards: give it as --data.path")
    source = open_data(path, part=split, **({"where": dict(where)} if where else {}))
    return world_report(model, FOLDERS[suite](source, count=count), batch_size=batch_size)


def world_report(model: UniTok, world: World, *, batch_size: int = 128) -> Report:
    """Reconstructions, captions and drawings of one world."""
    count = Report({"pictures": len(world.pictures)})
    tokenizer = measure_tokenizer(model, world, batch_size=batch_size)
    return count | tokenizer | measure(model, world, batch_size=batch_size)


def shapes_report(model: UniTok, *, canvas: int, scenes: int = SCENES, batch_size: int = 128) -> Report:
    """The same of unseen scenes of the built-in world, and captions and drawings of held-out compositions."""
    seen = shapes_world(canvas=canvas, count=scenes)
    held_out = shapes_world(canvas=canvas, count=scenes, held_out=True)
    return world_report(model, seen, batch_size=batch_size) | measure(
        model, held_out, prefix="heldout_", batch_size=batch_size
    )


def _canvas(model: UniTok) -> int:
    """Pixels a side of the scenes: the model's own, or 64 where it draws any size."""
    image = model.codec.modalities["image"]
    return image.shape[0] * image.tokenizer.cell if image.shape else 64
