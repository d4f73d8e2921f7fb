"""Images read as codes, as pixels, or as latents of our own tokenizer: captions after equal steps or minutes.

python benchmarks/vision.py [--steps 400 | --minutes 6] [--task both] [--seeds 0 1 2] [--arms codes …]

Small transformers learn the captions of the same scenes in the same order; they differ in what they read of
an image, and how: in the sequence, with attention in both directions inside images or prefixes, or by gated
cross-attention. Codes start from their features (`code_scale`), as in the demo. Measured on the same unseen
scenes and held-out compositions by the judge. With `--task both` they also learn to draw, which is in codes
in each arm, and drawings are judged, too.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass, replace

import torch
from compare import Row, command_line, finish
from short_run import minutes_of_processor, short_run

from unitok.api.unitok import UniTok
from unitok.data.codes.build_codec import CodecConfig
from unitok.data.modules import DocumentData
from unitok.data.tasks import Answers, Task, TaskConfig
from unitok.evaluate.judged_sets import shapes_set
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

CANVAS, ROW = 48, 64
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
    "cross": Arm(replace(PIXELS, one_place=True), BlockVariant(cross_every=2)),
}


def data_of(arm: str, *, task: Task, tokenizers: str, scenes: int, seed: int) -> DocumentData:
    """Captioned scenes, and how their images are read."""
    codec = CodecConfig(
        image_tokenizer=f"{tokenizers}/tokenizer/image_tokenizer",
        text_tokenizer=f"{tokenizers}/codes/tokenizer.json",
        image_shape=(6, 6),
        vision=ARMS[arm].vision,
    )
    return DocumentData(
        train=ShapesSource(canvas=CANVAS, count=scenes),
        val=ShapesSource(canvas=CANVAS, count=64, first_seed=VALIDATION_SEED),
        codec=codec,
        task=TaskConfig(task, unprompted=("image",), answers=ARMS[arm].answers),
        row_length=ROW,
        batch_size=64,
        seed=seed,
    )


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


def learn(
    arm: str, budget: dict, *, task: Task, tokenizers: str, scenes: int, seed: int, count: int
) -> dict[str, float]:
    """Train and measure one run."""
    data = data_of(arm, task=task, tokenizers=tokenizers, scenes=scenes, seed=seed)
    sizes = replace(SIZES, variant=ARMS[arm].variant)
    model, figures = train(data, budget, sizes=sizes, seed=seed)
    measured = {
        f"{name}, {where}": MEASURES[name](model, count=count, held_out=held_out)
        for name in (["captions"] if task == "caption" else MEASURES)
        for where, held_out in SEEN.items()
    }
    return measured | figures


def rows(arm: str, runs: list[dict[str, float]]) -> list[Row]:
    """The means over the seeds, with the runs' own figures."""
    found = []
    for key in (key for key in runs[0] if "," in key):
        values = [run[key] for run in runs]
        seconds = statistics.mean(run["processor seconds"] for run in runs)
        said = f"{', '.join(f'{value:.3f}' for value in values)}; {seconds:.0f} s of processor time each"
        found.append(Row(f"{arm}: {key}", statistics.mean(values), "", None, None, True, said))
    return found


def plot(runs: dict[str, list[dict[str, float]]], path: str) -> None:
    """Draw every run's figures, and their means, by arm."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    keys = [key for key in next(iter(runs.values()))[0] if "," in key]
    figure, axes = pyplot.subplots(1, len(keys), figsize=(3 * len(keys), 3), sharey=True, squeeze=False)
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
    add("--task", default="caption", choices=["caption", "both"], help="what is learned (default caption)")
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
    found, by_arm = [], {}
    for arm in options.arms:
        shared = {"task": options.task, "tokenizers": options.tokenizers}
        shared |= {"scenes": options.scenes, "count": options.count}
        runs = [learn(arm, budget, seed=seed, **shared) for seed in options.seeds]
        for seed, run in zip(options.seeds, runs, strict=True):
            print(f"{arm}, seed {seed}: {run}", flush=True)
        found += rows(arm, runs)
        by_arm[arm] = runs
    if options.plot:
        plot(by_arm, options.plot)
    finish(found, options.json)


if __name__ == "__main__":
    main()
