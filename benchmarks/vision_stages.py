"""Stages of a model that sees: alignment then instruction, against all at once, from a model of texts.

python benchmarks/vision_stages.py [--texts 300] [--align 200] [--instruct 600] [--held cross] [--seeds 0 1]

A small transformer learns the captions and the questions of rendered scenes as texts alone. From it, one arm
trains the bridge and the rows of new ids on captions (alignment), then everything on captions and questions
(instruction); the other trains everything on captions and questions for as many steps. With `--held`, further
arms hold the language model and train a way to see for as many steps: cross-attention, or updates that images
alone see. The log probability of texts is compared to the bit. Measured by the judge on unseen scenes.
"""

import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from compare import Row, command_line, finish
from short_run import short_run
from vision import ARMS, CANVAS, SIZES, caption_accuracy

from unitok.api.unitok import UniTok
from unitok.data.codes.build_codec import CodecConfig
from unitok.data.document_data import DocumentData
from unitok.data.mixture import Mixture
from unitok.data.source import Source
from unitok.data.tasks import TaskConfig
from unitok.document import Document, Segment
from unitok.evaluate.shapes_tasks import tasks_report
from unitok.generation.sampling import Sampling
from unitok.training.optimizers import OptimizerConfig
from unitok.training.transformer import TransformerTraining
from unitok.training.weights.init_from import StartConfig
from unitok.worlds.seeded import VALIDATION_SEED
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks

QUESTIONS = ["color", "count", "exist"]
ROW, BATCH = 128, 32
BAR = 0.95
"""Share of all at once's accuracy that the stages must reach."""


@dataclass
class WithoutImages(Source):
    """The documents of a source, all of whose texts are learned, without their images."""

    source: Source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        texts = [one.content for one in self.source[index] if one.modality == "text"]
        return tuple(Segment("text", text) for text in texts)


def captions(count: int, seed: int = 0) -> ShapesSource:
    """Captioned scenes."""
    return ShapesSource(canvas=CANVAS, count=count, first_seed=seed)


def questions(count: int, seed: int = 0) -> ShapesTasks:
    """Scenes with four questions each."""
    return ShapesTasks(canvas=CANVAS, count=count, first_seed=seed, turns=4, tasks=QUESTIONS)


@dataclass(frozen=True)
class Stages:
    """Trains one stage after another, each into a folder of a model.

    Args:
        tokenizers: folder with tokenizer/ and codes/, as the demo leaves it.
        scenes: to learn from.
        seed: of weights and order.
    """

    tokenizers: str
    scenes: int
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
            val=captions(64, VALIDATION_SEED),
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


def accuracy(model: UniTok, *, count: int) -> dict[str, float]:
    """Accuracy of captions and of answers on unseen scenes."""
    report = tasks_report(model, canvas=CANVAS, count=count, tasks=QUESTIONS).figures
    answers = statistics.mean(report[f"{task}_accuracy"] for task in QUESTIONS)
    return {"captions": caption_accuracy(model, count=count, held_out=False), "answers": answers}


def text_scores(model: UniTok, *, count: int) -> list[float]:
    """Log probability of unseen captions as texts alone."""
    texts = [(captions(count, VALIDATION_SEED)[i][0],) for i in range(count)]
    return model.score(texts)


def compare(
    stages: Stages, folder: Path, *, texts: int, align: int, instruct: int, held: list[str], count: int
) -> list[Row]:
    """The arms of one seed."""
    all_texts = WithoutImages(Mixture([captions(stages.scenes), questions(stages.scenes)], [1, 1]))
    both = Mixture([captions(stages.scenes), questions(stages.scenes)], [1, 1])
    words = stages.train(all_texts, steps=texts, out=folder / "words", start=StartConfig(), arm=None)
    begin = StartConfig(init_from=str(folder / "words"))
    bridge = StartConfig(init_from=str(folder / "words"), parts=("bridge", "rows"), code_scale=0.0)
    aligned = stages.train(captions(stages.scenes), steps=align, out=folder / "aligned", start=bridge)
    texts_say = text_scores(words, count=count)
    equal = texts_say == text_scores(aligned, count=count)
    then = StartConfig(init_from=str(folder / "aligned"))
    staged = stages.train(both, steps=instruct, out=folder / "staged", start=then)
    once = stages.train(both, steps=align + instruct, out=folder / "once", start=begin)
    figures = {"after alignment": accuracy(aligned, count=count), "staged": accuracy(staged, count=count)}
    figures["all at once"] = accuracy(once, count=count)
    print(f"seed {stages.seed}: {figures}", flush=True)
    found = [Row(f"seed {stages.seed}: texts after alignment, equal to the bit", equal, "", None, 1, equal)]
    for key, peer in figures["all at once"].items():
        ours = figures["staged"][key]
        ratio = ours / peer if peer else None
        said = f"all at once {peer:.3f}, after alignment {figures['after alignment'][key]:.3f}"
        ok = ratio is None or ratio >= BAR
        found.append(Row(f"seed {stages.seed}: {key} right, staged", ours, "", ratio, BAR, ok, said))
    for arm in held:
        start = StartConfig(init_from=str(folder / "words"), parts=("bridge", "rows", arm), code_scale=0.0)
        model = stages.train(both, steps=align + instruct, out=folder / arm, start=start, arm=arm)
        equal = texts_say == text_scores(model, count=count)
        found.append(
            Row(f"seed {stages.seed}: texts beside {arm}, equal to the bit", equal, "", None, 1, equal)
        )
        for key, value in accuracy(model, count=count).items():
            found.append(Row(f"seed {stages.seed}: {key} right, {arm} alone", value, "", None, None, True))
    return found


def main() -> None:
    parser = command_line(__doc__, threads=1)
    add = parser.add_argument
    add("--texts", type=int, default=300, help="steps of the model of texts (default 300)")
    add("--align", type=int, default=200, help="steps of alignment (default 200)")
    add("--instruct", type=int, default=600, help="steps of instruction (default 600)")
    add("--held", nargs="*", default=[], choices=["cross", "visual"], help="ways to see of further arms")
    add("--seeds", type=int, nargs="+", default=[0, 1], help="of weights and order (default 0 1)")
    add("--scenes", type=int, default=20_000, help="to learn from (default 20,000)")
    add("--count", type=int, default=256, help="scenes of each test set (default 256)")
    add("--tokenizers", default="runs/demo", help="folder with tokenizer/ and codes/ (default runs/demo)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = []
    for seed in options.seeds:
        steps = {"texts": options.texts, "align": options.align, "instruct": options.instruct}
        with tempfile.TemporaryDirectory() as folder:
            stages = Stages(options.tokenizers, options.scenes, seed)
            found += compare(stages, Path(folder), held=options.held, count=options.count, **steps)
    finish(found, options.json)


if __name__ == "__main__":
    main()
