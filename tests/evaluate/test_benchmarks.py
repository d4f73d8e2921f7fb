"""Benchmarks read their files, prompt a model and score its answers; errors are one line."""

import json
import tarfile
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_model import BRIEF, tiny_model
from train.evaluate import main
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.evaluate.answers import generate_boxes
from unitok.evaluate.image_index import ImageIndex
from unitok.evaluate.suites import open_suite
from unitok.generation.likelihood import Score
from unitok.modalities.geometry import Box, write_box
from unitok.modalities.location_bins import BoxModality
from unitok.modalities.vision import VisionConfig
from unitok.models.vision.encoder import Patches

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "captions"
INSTANCES = {
    "images": [{"id": i, "file_name": f"{i:012d}.png", "width": 120, "height": 80} for i in (1, 2)],
    "annotations": [
        {"id": 5, "image_id": 1, "category_id": 7, "bbox": [12, 8, 24, 16]},
        {"id": 6, "image_id": 2, "category_id": 8, "bbox": [60, 40, 60, 40]},
    ],
    "categories": [{"id": 7, "name": "dog"}, {"id": 8, "name": "cat"}],
}
CAPTIONS = {
    "images": INSTANCES["images"],
    "annotations": [
        {"image_id": 1, "caption": "A dog on the grass."},
        {"image_id": 2, "caption": "A cat on a ball."},
    ],
}
POPE = [
    {"question_id": 1, "image": "000000000001.png", "text": "Is there a dog in the image?", "label": "yes"},
    {"question_id": 2, "image": "000000000002.png", "text": "Is there a dog in the image?", "label": "no"},
]
REFS = [
    {"image_id": i, "ann_id": i + 4, "split": "val", "sentences": [{"sent": f"the {name}"}]}
    for i, name in ((1, "dog"), (2, "cat"))
]
QUESTIONS = {"questions": [{"image_id": 1, "question": "What is it?", "question_id": 10}]}
PEOPLE = [{"answer": "dog"}] * 9 + [{"answer": "a pup"}]
ANSWERS = {"annotations": [{"question_id": 10, "answer_type": "other", "answers": PEOPLE}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The images, one beside the other in a tar file, and all the files."""
    path = tmp_path_factory.mktemp("benchmark")
    (path / "images").mkdir()
    for number, colour in ((1, "red"), (2, "blue")):
        Image.new("RGB", (120, 80), colour).save(path / "images" / f"{number:012d}.png")
    with tarfile.open(path / "images" / "dev-0.tar", "w") as archive:
        archive.add(path / "images" / "000000000002.png", "000000000002.png")
    (path / "images" / "000000000002.png").unlink()
    contents = {"instances": INSTANCES, "captions": CAPTIONS, "refs": REFS}
    contents |= {"questions": QUESTIONS, "annotations": ANSWERS}
    for name, content in contents.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    (path / "pope.jsonl").write_text("\n".join(map(json.dumps, POPE)))
    return path


class Told(UniTok):
    """Says what it was told, whatever it is asked."""

    def __init__(self, *told, more=()):
        tiny = tiny_model(more=more)
        super().__init__(tiny.model, tiny.codec)
        self.told = list(told)

    def generate(self, documents, *, target, **settings):
        assert settings["temperature"] == 0
        return [(*d, Segment(target, told)) for d, told in zip(documents, self.told, strict=True)]

    def caption(self, images, *, batch_size):
        return self.told

    def score(self, documents, *, batch_size):
        """What it says is likelier."""
        turns = [told for told in self.told for _ in ("yes", "no")]
        return [Score(0.0 if d[-1].content == said.lower() else -1.0, 1)
                for d, said in zip(documents, turns, strict=True)]  # fmt: skip


def figures(folder, suite, model, file, **files):
    return open_suite(suite, file=folder / file, images=folder / "images", **files).measure(model).figures


def test_pope(folder):
    right = figures(folder, "pope", Told("Yes", "No"), "pope.jsonl")
    assert right["questions"] == 2
    assert all(right[f"pope{kind}_{name}"] == 1 for kind in ("", "_likelihood")
               for name in ("accuracy", "precision", "recall", "f1"))  # fmt: skip
    always = figures(folder, "pope", Told("Yes", "Yes"), "pope.jsonl")
    assert always["pope_yes_ratio"] == 1 and always["pope_accuracy"] == always["pope_precision"] == 0.5


def test_vqa(folder):
    files = {"annotations": str(folder / "annotations.json")}
    assert figures(folder, "vqa", Told("The dog!"), "questions.json", **files)["vqa_accuracy"] == 1
    wrong = figures(folder, "vqa", Told("cat"), "questions.json", **files)
    assert wrong == {"questions": 1, "vqa_accuracy": 0, "vqa_accuracy_other": 0}


def test_refcoco_with_boxes_and_with_text(folder):
    truth = Box(0.1, 0.1, 0.3, 0.3), Box(0.5, 0.5, 1, 1)
    files = {"annotations": str(folder / "instances.json"), "template": "where is {}?"}
    model = Told(*truth, more=[BoxModality()])
    right = {"expressions": 2, "refcoco_accuracy": 1, "refcoco_mean_iou": pytest.approx(1)}
    assert figures(folder, "refcoco", model, "refs.json", **files) == right
    written = Told(*(f"there: {write_box(box)}" for box in truth))
    assert figures(folder, "refcoco", written, "refs.json", **files) == right
    silent = figures(folder, "refcoco", Told("no idea", write_box(truth[1])), "refs.json", **files)
    assert silent["refcoco_accuracy"] == 0.5
    assert generate_boxes(written, [(), ()], batch_size=1) == list(truth)


def test_a_box_of_a_cropped_picture_is_laid_back(folder):
    """A model of square images sees the middle 80 of 120 pixels."""
    image = Image.new("RGB", (120, 80))
    assert tiny_model(shape=(2, 2), sampling=BRIEF).codec.crop_edges(image) == (20, 0, 100, 80)
    seeing = tiny_model(shape=(2, 2), vision=VisionConfig(tiles=2))
    assert seeing.codec.crop_edges(image) == (0, 0, 120, 80)
    seeing = tiny_model(shape=(2, 2), vision=VisionConfig(Patches(4, size=(16, 32))))
    assert seeing.codec.crop_edges(image) == (0, 10, 120, 70)
    model = Told(Box(0, 0.1, 0.2, 0.3), Box(0.5, 0.5, 1, 1), more=[BoxModality()])
    model.codec.modalities["image"].shape = (2, 2)
    found = open_suite("refcoco", file=folder / "refs.json", images=folder / "images",
                      annotations=str(folder / "instances.json")).measure(model)  # fmt: skip
    first, second = 16 / 24, 40 / 60  # 20 to 36 of 12 to 36; 60 to 100 of 60 to 120
    assert found.figures["refcoco_mean_iou"] == pytest.approx((first + second) / 2)


def test_captions_and_what_they_make_up(folder):
    model = Told("a dog on the grass", "a cat and two dogs")
    found = figures(folder, "caption", model, "captions.json")
    assert found["pictures"] == 2 and 0 < found["bleu_4"] < 1 and 0 < found["cider_d"] < 10
    chair = figures(folder, "chair", model, "instances.json")
    assert chair == {"pictures": 2, "chair_s": 0.5, "chair_i": pytest.approx(1 / 3)}
    (folder / "synonyms.txt").write_text("dog, puppy\ncat, kitten\nball\n")
    files = {"annotations": str(folder / "captions.json"), "words": str(folder / "synonyms.txt")}
    model = Told("a puppy", "a kitten with a ball")
    assert figures(folder, "chair", model, "instances.json", **files)["chair_i"] == 0


def test_pictures_go_by_several_names(folder):
    index = ImageIndex(folder / "images")
    for name in ("000000000002.png", "val2014/000000000002.jpg", "2", "COCO_val2014_000000000002.jpg"):
        assert index[name].getpixel((0, 0)) == (0, 0, 255)
    with pytest.raises(ValueError, match=r"images: no image dog2.png"):
        index["dog2.png"]


COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "lime": (0, 255, 0)}


def index_of(folder, *files):
    """An index of images, each in the colour of its last folder; FILE.tar:NAME lies in a shard."""
    for file in files:
        shard, inside, name = file.rpartition(":")
        colour = COLOURS[Path(name).parent.name or "lime"]
        path = folder.parent / "loose.png" if inside else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), colour).save(path)
        if inside:
            folder.mkdir(exist_ok=True)
            with tarfile.open(folder / shard, "a") as archive:
                archive.add(path, name)
    return ImageIndex(folder)


LAYOUTS = {
    "folders": ("red/1.png", "blue/1.png"),
    "a shard": ("s.tar:red/1.png", "s.tar:blue/1.png"),
    "two shards": ("a.tar:red/1.png", "b.tar:./blue/1.png"),
    "a folder and a shard": ("red/1.png", "s.tar:blue/1.png"),
    "a whole name is part of another": ("red/1.png", "lime/red/1.png", "blue/1.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_that_repeat_are_told_apart_by_their_folders(tmp_path, layout):
    found = index_of(tmp_path / "images", *LAYOUTS[layout])
    for name in ("red/1.png", "blue/1.png", "./red/1.jpg", "blue/1", "val2014/blue/1.png"):
        colour = COLOURS[Path(name).parent.name]
        assert found[name].getpixel((0, 0)) == colour, name
    for bare in ("1.png", "1", "1.webp"):
        with pytest.raises(ValueError, match=rf"images are called {bare}: .*1\.png, .*1\.png"):
            found[bare]
    with pytest.raises(ValueError, match=r": no image lime/1\.png"):
        found["lime/1.png"]


def test_a_number_that_two_files_have_is_refused(tmp_path):
    names = ("COCO_train2014_000000000001.png", "red/COCO_val2014_000000000001.png")
    found = index_of(tmp_path / "images", *names)
    assert found["COCO_val2014_000000000001.jpg"].getpixel((0, 0)) == COLOURS["red"]
    assert found["elsewhere/COCO_train2014_000000000001.jpg"].getpixel((0, 0)) == COLOURS["lime"]
    for name in ("1", "000000000001.jpg"):
        with pytest.raises(ValueError, match=r"COCO_train2014.*COCO_val2014"):
            found[name]


def test_a_name_is_found_in_either_unicode_form(tmp_path):
    found = index_of(tmp_path / "images", unicodedata.normalize("NFD", "red/é.png"), "img.v2.png", "img.png")
    assert found[unicodedata.normalize("NFC", "é.png")].getpixel((0, 0)) == COLOURS["red"]
    assert found["img.v2"].size == (4, 4) and found["img"].size == (4, 4)
    for none in ("", "/", "..", "img.v3"):
        with pytest.raises(ValueError, match="no image "):
            found[none]


def test_a_torn_shard_is_named(tmp_path):
    index_of(tmp_path / "images", "s.tar:red/1.png")
    (tmp_path / "images/s.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(ValueError, match=r"s\.tar: not a readable tar file"):
        ImageIndex(tmp_path / "images")


def test_objects_are_known_in_any_case_and_captions_of_all_pictures_are_wanted(folder, tmp_path):
    (tmp_path / "words.txt").write_text("\ufeffDog, Puppy\ncat, kitten\n", encoding="utf-8")
    loud = INSTANCES | {"categories": [{"id": 7, "name": "Dog"}, {"id": 8, "name": "Cat"}]}
    (tmp_path / "instances.json").write_text(json.dumps(loud))
    for words in (None, str(tmp_path / "words.txt")):
        found = figures(folder, "chair", Told("a cat", "a dog"), tmp_path / "instances.json", words=words)
        assert found["chair_s"] == 1
    (tmp_path / "captions.json").write_text(json.dumps([{"image_id": 1, "caption": "a dog"}]))
    with pytest.raises(
        ValueError, match=r"captions.json: no captions of 0+1.png, which .*instances.json has"
    ):
        figures(folder, "chair", Told("a cat", "a dog"), "instances.json",
                annotations=str(tmp_path / "captions.json"))  # fmt: skip


def test_every_benchmark_runs_from_the_command_line(folder, tmp_path):
    tiny_model(max_length=300, sampling=BRIEF).save_pretrained(tmp_path / "m")
    more = {"pope": "pope.jsonl", "caption": "captions.json", "chair": "instances.json"}
    more |= {"vqa": f"questions.json --annotations {folder}/annotations.json",
             "refcoco": f"refs.json --annotations {folder}/instances.json"}  # fmt: skip
    for suite, files in more.items():
        main(f"--model {tmp_path}/m --suite {suite} --images {folder}/images --out {tmp_path}/{suite} "
             f"--file {folder}/{files}".split())  # fmt: skip
        report = json.loads((tmp_path / suite / "report.json").read_text())
        assert report and len(list((tmp_path / suite).glob("*.png"))) == 1


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}")
def test_the_official_layouts_with_real_pictures(tmp_path):
    model = tiny_model(max_length=400, sampling=BRIEF)
    tasks = {"pope": ("pope_style.jsonl", None), "vqa": ("vqa_questions.json", "vqa_annotations.json"),
             "refcoco": ("refs(prog).p", "../instances_dev.json")}  # fmt: skip
    for suite, (file, annotations) in tasks.items():
        second = None if annotations is None else str(DATA / "tasks" / annotations)
        run = open_suite(suite, file=DATA / "tasks" / file, images=DATA, annotations=second, count=3)
        assert 3 in run.measure(model).figures.values()


WRONG = {
    "another suite's": ("--suite shapes --file FOLDER/pope.jsonl", "suite shapes does not take file"),
    "no file": ("--suite pope --images IMAGES", "give --file"),
    "no pictures": ("--suite pope --file FOLDER/pope.jsonl", "give --images"),
    "an empty folder": ("--suite pope --file FOLDER/pope.jsonl --images EMPTY", ": no images"),
    "no second file": ("--suite vqa --file FOLDER/questions.json --images IMAGES", "give --annotations"),
    "foreign file": ("--suite vqa --file FOLDER/pope.jsonl --images IMAGES --annotations FOLDER/refs.json",
                     "refs.json: not in the expected format"),
    "template": ("--suite pope --file FOLDER/pope.jsonl --images IMAGES --template what?", "have {} for"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_said_in_one_line(folder, tmp_path, capsys, fault):
    line, message = WRONG[fault]
    (tmp_path / "empty").mkdir()
    tiny_model(max_length=300, sampling=BRIEF).save_pretrained(tmp_path / "m")
    for name, path in (("IMAGES", folder / "images"), ("FOLDER", folder), ("EMPTY", tmp_path / "empty")):
        line = line.replace(name, str(path))
    with pytest.raises(SystemExit) as stop:
        main(f"--model {tmp_path}/m --out {tmp_path}/out {line}".split())
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("suite", "content", "files", "says"),
    [
        ("pope", "", {}, "asked: nothing in it for Pope"),
        ("caption", json.dumps({"images": [], "annotations": []}), {}, "asked: nothing in it for Captioning"),
        (
            "refcoco",
            json.dumps({}),
            {"annotations": "instances.json"},
            "expected a list of objects, got a dict",
        ),
        (
            "refcoco",
            json.dumps(["a"]),
            {"annotations": "instances.json"},
            "expected a JSON object, got a str",
        ),
        ("pope", "", {"words": "asked"}, "suite pope does not take words; chair does"),
        ("vqa", "", {"annotations": "asked", "words": "asked"}, "suite vqa does not take words"),
        (
            "caption",
            "",
            {"template": "what is {}?"},
            "suite caption does not take template; pope, vqa",
        ),
    ],
)
def test_what_would_be_measured_on_nothing_is_refused(folder, tmp_path, suite, content, files, says):
    (tmp_path / "asked").write_text(content)
    given = {name: str(folder / value) if value.endswith("json") else value for name, value in files.items()}
    with pytest.raises(ValueError, match=says):
        run = open_suite(suite, file=tmp_path / "asked", images=folder / "images", **given)
        run.measure(Told())
