"""A tiny untrained model through every suite: contact sheets and figures."""

import io
import json
import tarfile

import pytest
from PIL import Image

from tests.tiny_model import BRIEF, tiny_model
from train.evaluate import main
from unitok.api.unitok import UniTok
from unitok.data.readers.webdataset import WebDataset
from unitok.document import Segment
from unitok.evaluate.judged_sets import easy_vqa_set, pairs_set, shapes_set
from unitok.evaluate.report import JudgedSet, Report, measure, measure_tokenizer
from unitok.evaluate.suites import run_suite

SHEETS = {"samples", "captions", "reconstructions"}
CAPTIONS = ["a red circle", "a blue triangle", "a green rectangle"]


@pytest.fixture(scope="module")
def model():
    return tiny_model(sampling=BRIEF)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    with tarfile.open(folder / "val-000000.tar", "w") as archive:
        for i, caption in enumerate(CAPTIONS):
            file = io.BytesIO()
            Image.new("RGB", (12, 8), (80 * i, 10, 10)).save(file, "PNG")
            record = json.dumps({"subset": "combo" if i else "plain"}).encode()
            for suffix, content in (("png", file.getvalue()), ("txt", caption.encode()), ("json", record)):
                info = tarfile.TarInfo(f"{i}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return folder


class Oracle(UniTok):
    """Answers as a perfect model would; it is blind to its own drawings' numbers in `blind`."""

    def __init__(self, judged_set, wrong=(), blind=()):
        self.judged_set, self.wrong, self.blind = judged_set, set(wrong), set(blind)

    def caption(self, images, *, batch_size):
        if images is self.judged_set.images:
            return ["?" if i in self.wrong else text for i, text in enumerate(self.judged_set.captions)]
        known = {id(image): i for i, image in enumerate(self.judged_set.images)}
        numbers = [known[id(image)] for image in images]
        return ["?" if i in self.blind else self.judged_set.captions[i] for i in numbers]

    def draw(self, prompts, *, seed, batch_size):
        assert len(set(seed)) == len(prompts), "equal captions would be drawn alike"
        blank = Image.new("RGB", self.judged_set.images[0].size, "white")
        return [blank if i in self.wrong else image for i, image in enumerate(self.judged_set.images)]


@pytest.mark.parametrize("held_out", [False, True])
def test_who_repeats_the_truth_is_right_and_who_does_not_is_not(held_out):
    judged_set = shapes_set(canvas=48, count=20, held_out=held_out)
    report = measure(Oracle(judged_set, wrong=[3, 4, 5]), judged_set, prefix="x_")
    shares = {"x_caption_accuracy": 0.85, "x_image_accuracy": 0.85, "x_drawing_caption_accuracy": 1.0}
    assert report.figures == shares
    assert set(report.sheets) == {"x_samples", "x_captions"}


def test_who_does_not_read_its_own_drawings_is_found_out():
    judged_set = shapes_set(canvas=48, count=20)
    figures = measure(Oracle(judged_set, wrong=[3, 4, 5, 6], blind=[3, 7, 8]), judged_set).figures
    assert figures["drawing_caption_accuracy"] == 14 / 16  # of the drawings judged right


def test_without_a_judge_a_drawing_is_described_by_its_prompt(model):
    judged_set = JudgedSet([Image.new("RGB", (8, 8))], ["gray"], caption_is_right=lambda text, i: False)
    assert judged_set.describes("gray", judged_set.images[0], "gray")
    assert not judged_set.describes("grey", judged_set.images[0], "gray")


def test_shapes_of_an_untrained_model(tmp_path):
    tiny_model(shape=(12, 12), max_length=400, sampling=BRIEF).save_pretrained(tmp_path / "m")
    main(f"--model {tmp_path}/m --suite shapes --count 3 --out {tmp_path}/out".split())
    report = json.loads((tmp_path / "out/report.json").read_text())
    shares = {"codebook_usage", "reconstruction_accuracy", "caption_accuracy", "image_accuracy"}
    shares |= {"heldout_caption_accuracy", "heldout_image_accuracy", "heldout_drawing_caption_accuracy"}
    shares |= {"surviving_codes", "reconstruction_caption_accuracy", "drawing_caption_accuracy"}
    assert report.keys() == shares | {"pictures", "psnr"}
    assert report["pictures"] == 3 and all(0 <= report[name] <= 1 for name in shares)
    held_out = {"heldout_samples", "heldout_captions"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == SHEETS | held_out


def test_easy_vqa_counts_captions_to_the_letter_and_drawings_by_its_judge(model, shards):
    report = run_suite(model, "easy_vqa", path=str(shards))
    assert report.figures["pictures"] == 3 and report.figures["image_accuracy"] == 0
    judged_set = easy_vqa_set(WebDataset(str(shards), "val"))
    assert judged_set.caption_is_right(CAPTIONS[1], 1) and not judged_set.caption_is_right(CAPTIONS[1], 2)


def test_easy_vqa_refuses_other_captions(shards, tmp_path):
    class Other(WebDataset):
        def caption(self, index):
            return "a cat"

    with pytest.raises(ValueError, match="'a cat' is not a caption of easy-VQA"):
        easy_vqa_set(Other(str(shards), "val"))


def test_pairs_have_no_judge_of_drawings(model, shards):
    report = run_suite(model, "pairs", path=str(shards), where={"subset": "combo"}, count=9)
    assert report.figures["pictures"] == 2
    assert not {"image_accuracy", "reconstruction_accuracy"} & report.figures.keys()
    assert report.sheets.keys() == SHEETS
    judged_set = pairs_set(WebDataset(str(shards), "val"), count=1)
    assert len(judged_set.images) == 1 and judged_set.judge(judged_set.images) == [None]


@pytest.mark.parametrize(
    ("suite", "given", "says"),
    [
        (
            "shapes",
            {"path": "mine"},
            "suite shapes does not take data.path; easy_vqa, pairs, labels, answers",
        ),
        ("tasks", {"split": "test"}, "suite tasks does not take split"),
        ("hallucination", {"where": {"a": 1}}, "suite hallucination does not take where"),
        ("pope", {"path": "mine", "file": "pope.jsonl", "images": "."}, "suite pope does not take data.path"),
        ("pairs", {"path": "mine", "file": "pope.jsonl"}, "suite pairs does not take file; pope, vqa"),
    ],
)
def test_data_that_a_suite_would_not_read_is_refused(model, suite, given, says):
    with pytest.raises(ValueError, match=says):
        run_suite(model, suite, count=1, **given)


def test_where_a_report_goes_is_looked_at_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("unitok.api.unitok.UniTok.from_pretrained", lambda *_, **__: pytest.fail("it worked"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path / "file" / "out")])
    assert stop.value.code == 2 and f"{tmp_path / 'file'}: must be a folder" in capsys.readouterr().err


def test_a_reconstruction_is_compared_with_what_the_tokenizer_saw(model):
    judged_set = JudgedSet(
        [Image.new("RGB", (50, 90), "gray")], ["gray"], caption_is_right=lambda text, i: False
    )
    figures = measure_tokenizer(model, judged_set).figures
    assert 0 < figures["psnr"] < 78 and figures["codebook_usage"] <= 6 / 16
    (codes,) = model.codec.encode((Segment("image", judged_set.images[0]),))
    (again,) = model.codec.encode(tuple(model.codec.decode([codes])))
    assert figures["surviving_codes"] == pytest.approx((codes.codes == again.codes).double().mean().item())


def test_reports_join_and_are_saved_whole(tmp_path):
    both = Report({"a": 1, "b": 0.5}) | Report({"b": 0.25}, {"s": Image.new("RGB", (4, 4))})
    both.save(tmp_path / "new/folder")
    assert json.loads((tmp_path / "new/folder/report.json").read_text()) == {"a": 1, "b": 0.25}
    assert (tmp_path / "new/folder/s.png").is_file()


BAD = {
    "no folder": (["--suite", "pairs"], "suite pairs reads a data set: give --data.path"),
    "absent folder": (["--suite", "pairs", "--data.path", "no/where"], "no/where"),
    "absent split": (
        ["--suite", "pairs", "--data.path", "SHARDS", "--split", "tets"],
        "val, test, got 'tets'",
    ),
    "nothing left": (["--suite", "pairs", "--data.path", "SHARDS", "--where", "subset=x"], "'subset': 'x'"),
    "no pair": (["--suite", "pairs", "--where", "subset"], "must be NAME=VALUE, got 'subset'"),
    "count": (
        ["--suite", "pairs", "--data.path", "SHARDS", "--count", "0"],
        "count must be at least 1, got 0",
    ),
    "batch": (
        ["--suite", "pairs", "--data.path", "SHARDS", "--batch-size", "0"],
        "batch_size must be at least 1",
    ),
    "suite": (["--suite", "shape"], "invalid choice: 'shape'"),
    "model": (["--model", "no/model"], "no/model: not a model folder"),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_wrong_is_said_in_one_line(model, shards, tmp_path, capsys, fault):
    arguments, message = BAD[fault]
    model.save_pretrained(tmp_path / "m")
    arguments = [str(shards) if word == "SHARDS" else word for word in arguments]
    with pytest.raises(SystemExit) as stop:
        main(["--model", str(tmp_path / "m"), "--out", str(tmp_path / "out"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
