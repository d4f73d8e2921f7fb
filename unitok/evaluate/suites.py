"""Suites of evaluation: their contract, their registry, and measuring a model by the name of one. Imports no
library, so that the command line lists them at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import date
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from unitok.api.learned_tasks import TaskFigure

if TYPE_CHECKING:
    from unitok.api.unitok import UniTok
    from unitok.data.source import Source
    from unitok.evaluate.report import Report


class Listing(NamedTuple):
    """The module that registers a suite, and the suite's line in the help."""

    module: str
    help: str


SUITES = {
    "shapes": Listing(".captioned_images", "rendered scenes, unseen and held out, judged by their pixels"),
    "tasks": Listing(".shapes_tasks", "questions and edits about rendered scenes (--tasks)"),
    "hallucination": Listing(".shapes_hallucination", "POPE and CHAIR on rendered scenes"),
    "moves": Listing(".moves", "instructions to move an object, carried out in rendered scenes"),
    "easy_vqa": Listing(".captioned_images", "easy-VQA's images, judged by their pixels (--data.path)"),
    "pairs": Listing(".captioned_images", "any captioned images, without a judge of drawings (--data.path)"),
    "labels": Listing(".classification", "images with their captions as classes (--data.path)"),
    "answers": Listing(".question_shards", "questions and boxes in shards (--data.path)"),
    "nlvr": Listing(".question_shards", "true and false statements in shards (--data.path)"),
    "nlvr_boxes": Listing(".nlvr_steps", "NLVR's own images, read box by box (--data.path)"),
    "pope": Listing(".benchmarks", "POPE's questions (--file, --images)"),
    "vqa": Listing(".benchmarks", "VQA v2's questions (--file, --images, --annotations)"),
    "refcoco": Listing(".benchmarks", "RefCOCO's refs (--file, --images, --annotations), or JSON lines"),
    "caption": Listing(".benchmarks", "COCO captions (--file, --images)"),
    "chair": Listing(".benchmarks", "COCO instances (--file, --images; also --annotations, --words)"),
}
"""Suites by name, in the order of the help; a suite's module is imported when the suite is opened."""
_CLASSES: dict[str, type["Suite"]] = {}
_FLAGS = {"path": "data.path"}
"""Options whose flag has another name."""


@dataclass(frozen=True, kw_only=True)
class Suite(ABC):
    """A measurement of a model. The fields of its class are the options that it takes.

    Args:
        count: maximum number of images or questions; None for all.

    Raises:
        ValueError: count is below 1.
    """

    count: int | None = None

    reads: ClassVar[str] = "nothing"
    """The data without which it cannot run."""
    measures: ClassVar[Mapping[str, str]] = {}
    """The task of a model (api/task_kinds.py) that a figure measures, by a pattern of the figure's name."""
    counted: ClassVar[str] = "pictures"
    """The figure that is the number of samples."""

    def __post_init__(self):
        from unitok.api.arguments import as_int

        as_int(1 if self.count is None else self.count, "count", minimum=1)

    @abstractmethod
    def measure(self, model: "UniTok", *, batch_size: int) -> "Report":
        """Returns the figures, and contact sheets of images behind them; `batch_size` images at once."""

    def never_learned(self, model: "UniTok") -> str | None:
        """One line that names what the suite measures and the model never learned; None for nothing."""
        missing = [task for task in dict.fromkeys(self.measures.values()) if model.unlearned(task)]
        return model.unlearned(*missing)

    @classmethod
    def of_tasks(cls, figures: Mapping[str, Any], *, on: str) -> "dict[str, list[TaskFigure]]":
        """Sorts a report's figures by the tasks of a model that they measure; `on` names the data."""
        samples, today = figures.get(cls.counted, 0), date.today().isoformat()
        sorted_figures: dict[str, list[TaskFigure]] = {}
        for name, value in figures.items():
            for pattern, task in cls.measures.items():
                if fnmatchcase(name, pattern):
                    figure = TaskFigure(name, value, samples, on, today)
                    sorted_figures.setdefault(task, []).append(figure)
        return sorted_figures


class SceneSuite(Suite):
    """A suite that renders its scenes."""

    def canvas(self, model: "UniTok") -> int:
        """Side of the scenes in pixels: the model's image size, or 64 if it draws any size."""
        image = model.codec.image
        return image.shape[0] * image.tokenizer.cell if image.shape else 64


@dataclass(frozen=True, kw_only=True)
class DataSuite(Suite):
    """A suite that reads a data set.

    Args:
        path, split, where: see `unitok.data.sources.open_data`.
    """

    path: str
    split: str = "val"
    where: dict[str, Any] = field(default_factory=dict)

    reads = "a data set"

    def source(self) -> "Source":
        """The documents of the data set, in any format."""
        from unitok.data.sources import open_data

        return open_data(self.path, split=self.split, **({"where": self.where} if self.where else {}))


def register(
    name: str, *, measures: Mapping[str, str] | None = None, counted: str | None = None
) -> Callable[[type[Suite]], type[Suite]]:
    """Decorates a suite's class, which becomes a dataclass: `unitok evaluate --suite NAME` runs it.

    A suite of this package also has a line in SUITES.

    Args:
        name: of the suite.
        measures, counted: of the class, see Suite; None for those of its base.

    Raises:
        ValueError: another class has the name.
    """

    def add(kind: type[Suite]) -> type[Suite]:
        other = _CLASSES.get(name, kind)
        if (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
            raise ValueError(f"suite {name} is {other.__module__}.{other.__qualname__} already")
        kind.measures = kind.measures if measures is None else measures
        kind.counted = counted or kind.counted
        _CLASSES[name] = dataclass(frozen=True, kw_only=True)(kind)
        SUITES.setdefault(name, Listing(kind.__module__, (kind.__doc__ or "").split("\n")[0]))
        return _CLASSES[name]

    return add


def find_suite(name: str) -> type[Suite]:
    """The class of a suite. Raises ValueError if the name is unknown."""
    if name not in SUITES:
        raise ValueError(f"suite must be one of {', '.join(SUITES)}, got {name!r}")
    if name not in _CLASSES:
        import_module(SUITES[name].module, __package__)
    return _CLASSES[name]


def open_suite(name: str, **options: Any) -> Suite:
    """A suite with its options; those that are None are absent.

    Raises:
        ValueError: the suite is unknown, does not take an option (other data than intended would be
            measured), or lacks one.
    """
    kind = find_suite(name)
    given = {option: value for option, value in options.items() if value is not None}
    known = [option.name for option in fields(kind)]
    if unread := [option for option in given if option not in known]:
        takers = _takers(unread)
        hint = f"; {', '.join(takers)} {'do' if len(takers) > 1 else 'does'}" if takers else ""
        raise ValueError(f"suite {name} does not take {', '.join(map(_flag, unread))}{hint}")
    needed = [o.name for o in fields(kind) if o.default is MISSING and o.default_factory is MISSING]
    if absent := [option for option in needed if option not in given]:
        raise ValueError(f"suite {name} reads {kind.reads}: give --{' and --'.join(map(_flag, absent))}")
    return kind(**given)


def run_suite(model: "UniTok", suite: str, *, batch_size: int = 128, **options: Any) -> "Report":
    """Measure a model by the name of a suite, with `batch_size` images at once.

    Raises:
        ValueError: batch_size is below 1; see also `open_suite`.
    """
    from unitok.api.arguments import as_int

    as_int(batch_size, "batch_size", minimum=1)
    return open_suite(suite, **options).measure(model, batch_size=batch_size)


def _takers(options: Sequence[str]) -> list[str]:
    """Suites that take all of the options."""
    return [name for name in SUITES if {*options} <= {option.name for option in fields(find_suite(name))}]


def _flag(option: str) -> str:
    return _FLAGS.get(option, option)
