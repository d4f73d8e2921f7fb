"""Stages of a model that sees: alignment then instruction, against all at once, from a model of texts.

python benchmarks/vision_stages.py [--texts 300] [--align 200] [--instruct 600] [--arms staged once cross …]
    [--learn scenes|easy_vqa|naming]

A small transformer learns the captions and the questions of rendered scenes as texts alone. From it, one arm
trains the bridge and the rows of new ids on captions (alignment), then everything on captions and questions
(instruction); the other trains everything on captions and questions for as many steps. Further arms hold the
language model and train a way to see for as many steps: cross-attention, or updates that images alone see.
The log probability of texts is compared to the bit. Measured by the judge on unseen scenes. With `--learn
easy_vqa` the captions and questions are those of easy-VQA's shards; with `--learn naming` documents name
images by made-up words that their first images explain, after the true ones, "red dax": the model of texts
learns to look a word up, and what sees must tell it the colour.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from compare import Row, command_line, finish
from few_shot import measure as few_shot_points
from short_run import short_run
from vision import ARMS, CANVAS, QUESTIONS, SIZES, caption_accuracy, easy_vqa_accuracy

from unitok.api.unitok import UniTok
from unitok.data.codes.build_codec import CodecConfig
from unitok.data.document_data import DocumentData
from unitok.data.mixture import Mixture
from unitok.data.readers.question_shards import QuestionShards
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Source
from unitok.data.tasks import TaskConfig
from unitok.document import Document, Segment
from unitok.evaluate.shapes_tasks import tasks_report
from unitok.generation.sampling import Sampling
from unitok.training.optimizers import OptimizerConfig
from unitok.training.transformer import TransformerTraining
from unitok.training.weights.init_from import StartConfig
from unitok.worlds.seeded import VALIDATION_SEED
from unitok.worlds.shapes.naming import ShapesNaming
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks

ROW, BATCH = 128, 32
BAR = 0.95
"""Share of all at once's accuracy that the stages must reach."""
HELD = ("cross", "visual")
"""Arms that hold the language model, by the part that they train beside the bridge."""


@dataclass
class WithoutImages(Source):
    """The documents of a source, all of whose texts are learned, without their images."""

    source: Source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        texts = [one.content for one in self.source[index] if one.modality == "text"]
        return tuple(Segment("text", text) for text in texts)


@dataclass(frozen=True)
class World:
    """What is learned, captions that are not, and how it is measured."""

    captions: Source
    questions: Source
    unseen: Source
    measure: Callable[[UniTok], dict[str, float]]


def scenes_world(*, scenes: int, count: int) -> World:
    """Rendered scenes, with four questions each."""
    captions = ShapesSource(canvas=CANVAS, count=scenes)
    questions = ShapesTasks(canvas=CANVAS, count=scenes, turns=4, tasks=QUESTIONS)
    unseen = ShapesSource(canvas=CANVAS, count=count, first_seed=VALIDATION_SEED)
    return World(captions, questions, unseen, partial(shapes_accuracy, count=count))


def easy_vqa(folder: str, *, count: int) -> World:
    """easy-VQA's shards, with up to two questions an image."""
    unseen = QuestionShards(folder, "val")
    measure = partial(easy_vqa_accuracy, test=unseen, count=count)
    questions = QuestionShards(folder, turns=2)
    return World(WebDataset(folder, split="train"), questions, WebDataset(folder, split="val"), measure)


def naming(*, scenes: int, count: int) -> World:
    """Documents of images of one object, named by two made-up words after the true ones."""
    settings = {"canvas": CANVAS, "pictures": 6, "classes": 2, "said": True}
    learned = ShapesNaming(count=scenes, **settings)
    unseen = ShapesNaming(VALIDATION_SEED, count, **settings)
    return World(learned, learned, unseen, partial(naming_accuracy, unseen=unseen))


def naming_accuracy(model: UniTok, *, unseen: ShapesNaming) -> dict[str, float]:
    """Accuracy after one and four examples, of images of a class that is among them."""
    return {f"named after {point.examples}": point.shown for point in few_shot_points(model, unseen, (1, 4))}


def shapes_accuracy(model: UniTok, *, count: int) -> dict[str, float]:
    """Accuracy of captions and of answers on unseen scenes."""
    report = tasks_report(model, canvas=CANVAS, count=count, tasks=QUESTIONS).figures
    answers = statistics.mean(report[f"{task}_accuracy"] for task in QUESTIONS)
    return {"captions": caption_accuracy(model, count=count, held_out=False), "answers": answers}


@dataclass(frozen=True)
class Stages:
    """Trains one stage after another, each into a folder of a model.

    Args:
        tokenizers: folder with tokenizer/ and codes/, as the demo leaves it.
        world: what is learned.
        seed: of weights and order.
    """

    tokenizers: str
    world: World
    seed: int

    def train(
        self, source: Source, *, steps: int, out: Path, start: StartConfig, arm: str | None = "latents"
    ) -> UniTok:
        """Train a model that sees as an arm of vision.py for some steps, and save it."""
        torch.manual_seed(self.seed)
        codec = CodecConfig(
            image_tokenizer=f"{self.tokenizers}/tokenizer/image_tokenizer",
            text_tokenizer=f"{self.tokenizers}/codes/tokenizer.json",
            image_shape=(6, 6),
            vision=ARMS[arm].vision if arm else None,
        )
        data = DocumentData(
            train=source,
            val=self.world.unseen,
            codec=codec,
            task=TaskConfig("caption", unprompted=("image",) if arm else ()),
            row_length=ROW,
            batch_size=BATCH,
            seed=self.seed,
        )
        module = TransformerTraining(
            replace(SIZES, variant=ARMS[arm].variant) if arm else SIZES,
            optimizer=OptimizerConfig(lr=3e-3, muon_lr=0.02, weight_decay=0.1, bridge_lr=3e-3),
            start=start,
            sampling={"text": Sampling(temperature=0.0, max_new_tokens=32)},
        )
        with tempfile.TemporaryDirectory() as folder:
            short_run(module, data, folder, {"max_steps": steps})
        model = module.model_with_codec()
        model.save_pretrained(out)
        return model


def text_scores(model: UniTok, unseen: Source) -> list[float]:
    """Log probability of the first unseen captions as texts alone."""
    captions = WithoutImages(unseen)
    return model.score([captions[i] for i in range(min(64, len(captions)))])


def equality(arm: str, words: UniTok, model: UniTok, stages: Stages) -> Row:
    """Whether a model says of texts what the model of texts does."""
    equal = text_scores(words, stages.world.unseen) == text_scores(model, stages.world.unseen)
    return Row(f"seed {stages.seed}: texts, {arm}, equal to the bit", equal, "", None, 1, equal)


def run(stages: Stages, folder: Path, *, texts: int, align: int, instruct: int, arms: list[str]) -> list[Row]:
    """The arms of one seed."""
    world, origin = stages.world, str(folder / "words")
    both = Mixture([world.captions, world.questions], [1, 1])
    words = stages.train(
        WithoutImages(both), steps=texts, out=folder / "words", start=StartConfig(), arm=None
    )
    equal, measured = [], {}

    def measure(arm: str, model: UniTok) -> None:
        measured[arm] = world.measure(model)
        print(f"seed {stages.seed}, {arm}: {measured[arm]}", flush=True)

    if "once" in arms:
        begin = StartConfig(init_from=origin)
        measure("once", stages.train(both, steps=align + instruct, out=folder / "once", start=begin))
    if "staged" in arms:
        bridge = StartConfig(init_from=origin, parts=("bridge", "rows"), code_scale=0.0)
        aligned = stages.train(world.captions, steps=align, out=folder / "aligned", start=bridge)
        equal.append(equality("aligned", words, aligned, stages))
        measure("aligned", aligned)
        then = StartConfig(init_from=str(folder / "aligned"))
        measure("staged", stages.train(both, steps=instruct, out=folder / "staged", start=then))
    for arm in (arm for arm in arms if arm in HELD):
        start = StartConfig(init_from=origin, parts=("bridge", "rows", arm), code_scale=0.0)
        model = stages.train(both, steps=align + instruct, out=folder / arm, start=start, arm=arm)
        equal.append(equality(arm, words, model, stages))
        measure(arm, model)
    return [*equal, *rows(measured, stages.seed)]


def rows(measured: dict[str, dict[str, float]], seed: int) -> Iterator[Row]:
    """What each arm reaches; the stages beside all at once."""
    for arm, figures in measured.items():
        for key, value in figures.items():
            peer = measured["once"][key] if arm == "staged" and "once" in measured else 0
            ratio, bar = (value / peer, BAR) if peer else (None, None)
            yield Row(f"seed {seed}: {key}, {arm}", value, "", ratio, bar, not peer or ratio >= BAR)


def main() -> None:
    parser = command_line(__doc__, threads=1)
    add = parser.add_argument
    add("--texts", type=int, default=300, help="steps of the model of texts (default 300)")
    add("--align", type=int, default=200, help="steps of alignment (default 200)")
    add("--instruct", type=int, default=600, help="steps of instruction (default 600)")
    add(
        "--arms", nargs="+", default=["staged", "once"], choices=["staged", "once", *HELD], help="what is run"
    )
    add(
        "--learn",
        default="scenes",
        choices=["scenes", "easy_vqa", "naming"],
        help="what is learned (default scenes)",
    )
    add("--easy-vqa", default="data/easy_vqa", help="folder of its shards (default data/easy_vqa)")
    add("--seeds", type=int, nargs="+", default=[0, 1], help="of weights and order (default 0 1)")
    add("--scenes", type=int, default=20_000, help="to learn from (default 20,000)")
    add("--count", type=int, default=256, help="scenes of each test set (default 256)")
    add("--tokenizers", default="runs/demo", help="folder with tokenizer/ and codes/ (default runs/demo)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = {"scenes": options.scenes, "count": options.count}
    worlds = {
        "scenes": partial(scenes_world, **sizes),
        "easy_vqa": partial(easy_vqa, options.easy_vqa, count=options.count),
        "naming": partial(naming, **sizes),
    }
    world = worlds[options.learn]()
    steps = {"texts": options.texts, "align": options.align, "instruct": options.instruct}
    found = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found += run(Stages(options.tokenizers, world, seed), Path(folder), arms=options.arms, **steps)
    finish(found, options.json)


if __name__ == "__main__":
    main()
