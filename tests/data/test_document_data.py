"""The data modules take any format and several paths; faults cost themselves alone, and are reported."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from jsonargparse import ArgumentParser
from PIL import Image

from tests.data.coded import coded
from tests.data.samples import png, told, write_images, write_lines, write_tar
from tests.tiny_codecs import seeing_codec, tiny_codec
from tests.tiny_model import tiny_model
from unitok.chat_template import ChatTemplate
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData, TransformConfig
from unitok.data.image_data import ImageData
from unitok.data.mixture import Mixture
from unitok.data.readers.conversations import Llava, Messages
from unitok.data.readers.folders import PictureFolder, TextPairs
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Concat, SplitOf
from unitok.data.sources import open_data
from unitok.data.transforms.resize import Fit
from unitok.training.class_paths import SOURCES, import_classes

import_classes(*SOURCES)


def parsed(kind, *args):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "data")
    return parser.instantiate(parser.parse_args([f"--data.{arg}" for arg in args])).data


@pytest.fixture
def sets(tmp_path):
    write_images(tmp_path / "a", "red", "blue")
    for name in ("red", "blue"):
        (tmp_path / f"a/{name}.txt").write_text(name)
    write_tar(tmp_path / "b.tar", {"x.png": png("lime"), "x.txt": b"lime", "y.png": b"<html>", "y.txt": b"y"})
    return tmp_path


@pytest.mark.parametrize("kind", [ImageData, DocumentData])
def test_paths_and_formats_come_from_the_command_line(sets, kind):
    data = parsed(kind, f"path={sets}/a")
    assert isinstance(data.train, SplitOf) and isinstance(data.train.source, TextPairs)
    assert (len(data.train), len(data.val)) == (1, 1)
    assert isinstance(parsed(kind, f"path={sets}/a", "format=pictures").val.source, PictureFolder)
    both = parsed(kind, f"path=[{sets}/a, {sets}/b.tar]")
    assert isinstance(both.train, Concat) and isinstance(both.train.sources[1].source, WebDataset)
    named = parsed(
        kind, "train=TextPairs", f"train.path={sets}/a", "val=WebDataset", f"val.path={sets}/b.tar"
    )
    assert isinstance(named.train, TextPairs) and len(named.val) == 2
    with pytest.raises(Exception, match="format must be one of webdataset"):
        parsed(kind, f"path={sets}/a", "format=nope")
    with pytest.raises(Exception, match="no data: give"):
        parsed(kind)


def test_sources_are_mixed_by_weight_in_a_config(sets):
    page = (Path(__file__).parents[2] / "docs/your-data.md").read_text()
    (example,) = re.findall(r"^```yaml\n(data:\n  train:\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    config = yaml.safe_load(example.replace("DATA/a", f"{sets}/a").replace("DATA/b", f"{sets}/b.tar"))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DocumentData, "data")
    config["data"]["val"] = config["data"]["train"]
    mixed = parser.instantiate(parser.parse_object(config)).data.train
    assert isinstance(mixed, Mixture) and mixed.counts == [2, 6]
    assert mixed.tasks == ["caption", None] and mixed.learn == [["text"], None]


def test_holes_are_taught_by_a_config(sets):
    page = (Path(__file__).parents[2] / "docs/your-data.md").read_text()
    (example,) = re.findall(
        r"^```yaml\nmodel: {fills: true}\n(data:.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    config = yaml.safe_load(example.replace("DATA/a", f"{sets}/a"))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DocumentData, "data")
    config["data"]["val"] = config["data"]["train"]
    together = parser.instantiate(parser.parse_object(config)).data.train
    for name in ("red", "blue"):
        Image.new("RGB", (16, 16), name).save(sets / f"a/{name}.png")
    assert [[s.modality for s in together[i]] for i in (0, 2)] == [
        ["text", "image"],
        ["image", "text", "image"],
    ]


def test_an_image_that_is_only_shown_has_no_codes_to_be_an_example(sets):
    asked = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "A red one."}]
    write_lines(sets / "a/asked.jsonl", [{"image": "red.png", "conversations": asked}])
    source = Llava(str(sets / "a/asked.jsonl"))
    data = coded(seeing_codec(), train=source, val=source)
    data.setup("fit")
    assert data.examples(1) == []


class Bare:
    """What a data module asks of a trainer."""

    def __init__(self, folder):
        self.default_root_dir, self.is_global_zero, self.global_rank, self.world_size = (
            str(folder),
            True,
            0,
            1,
        )
        self.fit_loop = SimpleNamespace(
            epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(total=SimpleNamespace(processed=0)))
        )


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_faults_of_all_processes_are_in_the_report_of_the_run(tmp_path, workers):
    texts = {f"{i:02d}.txt": b" " if i % 5 == 0 else b"text" for i in range(40)}
    (tmp_path / "set").mkdir()
    write_tar(tmp_path / "set/train-0.tar", texts | {f"{i:02d}.png": png() for i in range(1, 40)})
    write_tar(tmp_path / "set/val-0.tar", {"a.txt": b"a", "a.png": png()})
    codec = tiny_codec(shape=(2, 2))
    codec.modalities["image"].encode = lambda content: (codec_ids(content), (2, 2))
    options = {"workers": workers, "batch_size": 8, "transforms": TransformConfig(resize=Fit(2, 2))}
    with pytest.raises(ValueError, match=r"data\.train: 8 of 40 samples are corrupt, more than 10%"):
        data = coded(codec, str(tmp_path / "set"), **options)
        data.trainer = Bare(tmp_path / "strict")
        data.setup("fit")
        seen = [batch.document for _ in range(2) for batch in data.train_dataloader()]
    data = coded(codec, str(tmp_path / "set"), **(options | {"most_faults": 0.3}))
    data.trainer = Bare(tmp_path / "run")
    data.setup("fit")
    seen = sum(int(batch.document.amax(1).add(1).sum()) for _ in range(2) for batch in windows(data, workers))
    data.teardown("fit")
    report = json.loads((tmp_path / "run/data_report.json").read_text())
    assert report["reasons"] == {"empty caption": 7, "no picture": 1} and report["faults"] == 8
    assert seen == 2 * 32


def codec_ids(content: Image.Image):
    import torch

    assert content.size == (2, 2)
    return torch.zeros(4, dtype=torch.long)


def windows(data, workers):
    from torch.utils.data import DataLoader

    from unitok.data.batches.batch_sampler import DocumentBatchSampler

    packed = data._packed["train"]
    return DataLoader(
        packed, sampler=DocumentBatchSampler(len(packed), 8, seed=0), batch_size=None, num_workers=workers
    )


# ---- conversations

MARKED = ChatTemplate(user_mark="user:", assistant_mark="model:")


@pytest.fixture
def conversations(tmp_path):
    turns = [{"role": "user", "content": "<image> Which?"}, {"role": "assistant", "content": "Red."}]
    write_images(tmp_path / "chats", "red")
    return write_lines(tmp_path / "chats/a.jsonl", [{"messages": turns, "images": ["red.png"]}] * 21)


def test_conversations_are_told_by_the_template_of_the_command_line(conversations):
    marks = "transforms.chat.user_mark=user:", "transforms.chat.assistant_mark=model:"
    data = parsed(DocumentData, f"path={conversations}", *marks)
    assert data.chat == MARKED
    data.codec = tiny_model().codec
    data.setup("fit")
    for name, count in (("train", 19), ("val", 2)):
        for codes in data._packed[name].documents.fetch(range(count)):
            texts = [(s.content, s.learn) for s in data.codec.decode(codes) if s.modality == "text"]
            assert texts == [("user:", False), ("Which?", False), ("model:", False), ("Red.", True)]


def test_every_kind_of_source_tells_conversations_by_the_template(conversations):
    source, pairs = Messages(str(conversations)), PictureFolder(str(conversations.parent))
    mixed = Mixture([Concat([source, source]), pairs], [1.0, 2.0])
    whole = mixed.with_chat(MARKED)
    assert isinstance(whole, Mixture) and whole.counts == mixed.counts
    assert told(whole[0])[0] == "~user:" and told(mixed[0])[0] == "~<red>"
    assert told(whole[len(whole) - 1]) == ["<red>"]
    assert told(SplitOf(source, "val").with_chat(MARKED)[0])[0] == "~user:"


def test_a_store_keeps_the_template_that_training_goes_by(conversations, tmp_path):
    codec, source = tiny_model().codec, open_data(conversations)
    for name, template in (("marked", MARKED), ("plain", ChatTemplate())):
        write_store(tmp_path / name, source.with_chat(template), codec, progress=False, chat=template)
    marked, plain = str(tmp_path / "marked"), str(tmp_path / "plain")
    assert coded(codec, train=marked, val=marked).chat == MARKED
    assert coded(codec, train=marked, val=marked, transforms=TransformConfig(chat=MARKED)).chat == MARKED
    assert coded(codec, train=plain, val=plain).chat == ChatTemplate()
    with pytest.raises(ValueError, match=r"one chat template; data\.transforms\.chat and stores have"):
        other = TransformConfig(chat=ChatTemplate(user_mark="U:"))
        _ = coded(codec, train=marked, val=marked, transforms=other).chat
    with pytest.raises(ValueError, match=r"written with chat .*model:.*, this run has"):
        write_store(tmp_path / "marked", source, codec, progress=False)
