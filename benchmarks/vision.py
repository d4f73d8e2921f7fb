"""Images read as codes, pixels, or latents of our own tokenizer, in six ways, after equal steps or minutes.

python benchmarks/vision.py [--steps 400 | --minutes 6] [--learn answers] [--seeds 0 1 2] [--arms codes …]

Small transformers learn the captions of the same scenes in the same order; they differ in what they read of
an image, and how: in the sequence, with attention in both directions inside images or prefixes or with
updates that images alone see, or by gated cross-attention. Codes start from their features (`code_scale`), as
in the demo. Measured on the same unseen scenes and held-out compositions by the judge. With `--learn
drawings` they also learn to draw, which is in codes in each arm; with `--learn answers` they answer questions
about scenes, with `--learn answers_drawings` they do both, with `--learn easy_vqa` they answer those of
easy-VQA, whose shards are in a folder.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from compare import Row, command_line, finish
from short_run import minutes_of_processor, short_run

from unitok.api.unitok import UniTok
from unitok.data.codes.build_codec import CodecConfig
from unitok.data.document_data import DocumentData
from unitok.data.mixture import Mixture
from unitok.data.readers.question_shards import QuestionShards
from unitok.data.source import Source
from unitok.data.tasks import Answers, Task, TaskConfig
from unitok.evaluate.judged_sets import shapes_set
from unitok.evaluate.question_shards import questions_report
from unitok.evaluate.shapes_tasks import tasks_report
from unitok.generation.sampling import Sampling
from unitok.modalities.vision import VisionConfig
from unitok.models.transformer import TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Patches
from unitok.training.optimizers import OptimizerConfig
from unitok.training.transformer import TransformerTraining
from unitok.worlds.seeded import VALIDATION_SEED
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks

CANVAS = 48
QUESTIONS = ["color", "count", "exist"]
SIZES = TransformerSizes(
    width=128, layers=4, heads=4, kv_heads=4, head_width=32, hidden=384, rope_base=100.0, max_length=128
)
PIXELS = VisionConfig(Patches(8), Projector(hidden=256))


@dataclass(frozen=True)
class Arm:
    """How a model reads images: what it sees, and by what attention."""

    vision: VisionConfig | None
    variant: BlockVariant = BlockVariant()  # noqa: RUF009 (it is frozen)
    answers: Answers = "all"


ARMS = {
    "codes": Arm(None),
    "pixels": Arm(PIXELS),
    "latents": Arm(VisionConfig(Latents(), Projector(hidden=256))),
    "images": Arm(PIXELS, BlockVariant(bidirectional="images")),
    "prefix": Arm(PIXELS, BlockVariant(bidirectional="prefix"), "one"),
    "visual": Arm(PIXELS, BlockVariant(visual_rank=16)),
    "cross": Arm(replace(PIXELS, one_place=True), BlockVariant(cross_every=2)),
}


def caption_accuracy(model: UniTok, *, count: int, held_out: bool) -> float:
    """The share of scenes of which the model writes a true caption."""
    judged = shapes_set(canvas=CANVAS, count=count, held_out=held_out)
    captions = model.caption(judged.images)
    return statistics.mean(judged.caption_is_right(text, i) for i, text in enumerate(captions))


def drawing_accuracy(model: UniTok, *, count: int, held_out: bool) -> float:
    """The share of captions of which the model's drawing is right."""
    judged = shapes_set(canvas=CANVAS, count=count, held_out=held_out)
    drawn = model.draw(judged.captions, seed=range(count))
    pairs = zip(drawn, judged.captions, strict=True)
    return statistics.mean(judged.drawing_is_right(image, text) for image, text in pairs)


MEASURES = {"captions": caption_accuracy, "drawings": drawing_accuracy}
SEEN = {"seen": False, "held out": True}


def scene_accuracy(model: UniTok, *, names: Sequence[str], count: int) -> dict[str, float]:
    """These accuracies, of unseen scenes and of held-out compositions."""
    return {
        f"{name}, {where}": MEASURES[name](model, count=count, held_out=held_out)
        for name in names
        for where, held_out in SEEN.items()
    }


def answer_accuracy(model: UniTok, *, count: int) -> dict[str, float]:
    """The share of right answers to questions about unseen scenes, the mean of their kinds."""
    report = tasks_report(model, canvas=CANVAS, count=count, tasks=QUESTIONS).figures
    prefixes = {"seen": "", "held out": "heldout_"}
    return {
        f"answers, {where}": statistics.mean(report[f"{prefix}{task}_accuracy"] for task in QUESTIONS)
        for where, prefix in prefixes.items()
    }


def answer_and_drawing_accuracy(model: UniTok, *, count: int) -> dict[str, float]:
    """Both accuracies, of one model."""
    return answer_accuracy(model, count=count) | scene_accuracy(model, names=["drawings"], count=count)


def easy_vqa_accuracy(model: UniTok, *, test: QuestionShards, count: int) -> dict[str, float]:
    """The share of right answers to so many of easy-VQA's questions."""
    return {"answers, easy-VQA": questions_report(model, test, count=count).figures["answer_accuracy"]}


@dataclass(frozen=True)
class Lesson:
    """What a model learns, in rows of how many ids, and how it is measured."""

    source: Source
    task: Task
    row: int
    measure: Callable[[UniTok], dict[str, float]]


def lesson_of(name: str, *, scenes: int, count: int, easy_vqa: str) -> Lesson:
    """The lesson of this name, of so many scenes and measured on `count`; or of easy-VQA's folder."""
    if name == "easy_vqa":
        asked, test = QuestionShards(easy_vqa, turns=4), QuestionShards(easy_vqa, "val")
        return Lesson(asked, "chat", 160, partial(easy_vqa_accuracy, test=test, count=count))
    asked = ShapesTasks(canvas=CANVAS, count=scenes, turns=4, tasks=QUESTIONS)
    if name == "answers":
        return Lesson(asked, "chat", 160, partial(answer_accuracy, count=count))
    captioned = ShapesSource(canvas=CANVAS, count=scenes)
    if name == "answers_drawings":
        both = partial(answer_and_drawing_accuracy, count=count)
        return Lesson(Mixture([asked, captioned], [1, 1]), "draw", 160, both)
    if name == "captions":
        return Lesson(captioned, "caption", 64, partial(scene_accuracy, names=["captions"], count=count))
    return Lesson(captioned, "both", 64, partial(scene_accuracy, names=list(MEASURES), count=count))


def data_of(arm: str, lesson: Lesson, *, tokenizers: str, seed: int) -> DocumentData:
    """What is learned, and how its images are read."""
    codec = CodecConfig(
        image_tokenizer=f"{tokenizers}/tokenizer/image_tokenizer",
        text_tokenizer=f"{tokenizers}/codes/tokenizer.json",
        image_shape=(6, 6),
        vision=ARMS[arm].vision,
    )
    return DocumentData(
        train=lesson.source,
        val=ShapesSource(canvas=CANVAS, count=64, first_seed=VALIDATION_SEED),
        codec=codec,
        task=TaskConfig(lesson.task, unprompted=("image",), answers=ARMS[arm].answers),
        row_length=lesson.row,
        batch_size=4096 // lesson.row,
        seed=seed,
    )


def train(
    data: DocumentData, budget: dict, *, sizes: TransformerSizes, seed: int
) -> tuple[UniTok, dict[str, float]]:
    """Train a model for a budget of a Trainer; returns it with its steps and seconds of processor time."""
    torch.manual_seed(seed)
    start, optimizer = time.process_time(), OptimizerConfig(lr=3e-3, muon_lr=0.02, weight_decay=0.1)
    sampling = {
        "text": Sampling(temperature=0.0, max_new_tokens=32),
        "image": Sampling(temperature=0.6, guidance_scale=2.0),
    }
    module = TransformerTraining(sizes, optimizer=optimizer, sampling=sampling)
    with tempfile.TemporaryDirectory() as folder:
        trainer = short_run(module, data, folder, budget)
        seconds = time.process_time() - start
        return module.model_with_codec(), {"steps": trainer.global_step, "processor seconds": seconds}


def learn(arm: str, lesson: Lesson, budget: dict, *, tokenizers: str, seed: int) -> dict[str, float]:
    """Train and measure one run."""
    data = data_of(arm, lesson, tokenizers=tokenizers, seed=seed)
    model, figures = train(data, budget, sizes=replace(SIZES, variant=ARMS[arm].variant), seed=seed)
    return lesson.measure(model) | figures


def rows(arm: str, runs: list[dict[str, float]], *, count: int) -> list[Row]:
    """The means over the seeds, with the interval of so many scenes each, and the runs' own figures."""
    found = []
    for key in (key for key in runs[0] if "," in key):
        values = [run[key] for run in runs]
        mean, seconds = statistics.mean(values), statistics.mean(run["processor seconds"] for run in runs)
        interval = 1.96 * (mean * (1 - mean) / (count * len(runs))) ** 0.5
        each = ", ".join(f"{value:.3f}" for value in values)
        said = f"± {interval:.3f}; {each}; {seconds:.0f} s of processor time each"
        found.append(Row(f"{arm}: {key}", mean, "", None, None, True, said))
    return found


def plot(runs: dict[str, list[dict[str, float]]], path: str) -> None:
    """Draw every run's figures, and their means, by arm."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    keys = [key for key in next(iter(runs.values()))[0] if "," in key]
    size = (len(keys) * max(3, 0.8 * len(runs)), 3)
    figure, axes = pyplot.subplots(1, len(keys), figsize=size, sharey=True, squeeze=False)
    for axis, key in zip(axes[0], keys, strict=True):
        for place, of_arm in enumerate(runs.values()):
            values = [run[key] for run in of_arm]
            axis.bar(place, statistics.mean(values), color=f"C{place}", alpha=0.4)
            axis.scatter([place] * len(values), values, color=f"C{place}", zorder=2)
        axis.set(title=key, xticks=range(len(runs)), xticklabels=list(runs), ylim=(0, 1))
    axes[0, 0].set_ylabel("share right")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = command_line(__doc__, threads=1)
    add = parser.add_argument
    add("--steps", type=int, default=400, help="of each run (default 400)")
    add("--minutes", type=float, help="of processor time of each run, in place of steps")
    lessons = ["captions", "drawings", "answers", "answers_drawings", "easy_vqa"]
    add("--learn", default="captions", choices=lessons, help="what is learned (default captions)")
    add("--easy-vqa", default="data/easy_vqa", help="folder of its shards (default data/easy_vqa)")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of weights and order (default 0 1 2)")
    add(
        "--arms",
        nargs="+",
        default=["codes", "pixels", "latents"],
        choices=list(ARMS),
        help="what is read of an image",
    )
    add("--scenes", type=int, default=20_000, help="to learn from (default 20,000)")
    add("--count", type=int, default=256, help="scenes of each test set (default 256)")
    add("--tokenizers", default="runs/demo", help="folder with tokenizer/ and codes/ (default runs/demo)")
    add("--plot", metavar="FILE", help="draw every run's figures as a PNG file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    budget = {"max_steps": options.steps}
    if options.minutes:
        budget = minutes_of_processor(options.minutes)
    lesson = lesson_of(options.learn, scenes=options.scenes, count=options.count, easy_vqa=options.easy_vqa)
    by_arm: dict[str, list[dict[str, float]]] = {arm: [] for arm in options.arms}
    for seed in options.seeds:
        for arm in options.arms:
            run = learn(arm, lesson, budget, tokenizers=options.tokenizers, seed=seed)
            print(f"{arm}, seed {seed}: {run}", flush=True)
            by_arm[arm].append(run)
    found = [row for arm, runs in by_arm.items() for row in rows(arm, runs, count=options.count)]
    if options.plot:
        plot(by_arm, options.plot)
    finish(found, options.json)


if __name__ == "__main__":
    main()
