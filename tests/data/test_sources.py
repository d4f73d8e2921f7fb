"""The reader of tar shards: right bytes by index, faults counted and named, safe across processes."""

import pickle
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.tiny_codecs import Named
from unitok.data.readers.folders import PictureFolder
from unitok.data.readers.webdataset import WebDataset
from unitok.data.source import Concat, Source
from unitok.data.sources import train_and_val
from unitok.worlds.shapes.scenes import ShapesSource

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def png(colour: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two training shards of three whole samples, and one of another split."""
    write_shard(
        tmp_path / "train-000000.tar",
        {
            "a.png": png("red"),
            "a.txt": b"a red one\n",
            "a.json": b'{"subset": "x", "n": 1}',
            "b.png": png("lime"),
            "b.txt": "ein grünes".encode(),
            "b.json": b'{"subset": "y"}',
        },
    )
    write_shard(tmp_path / "train-000001.tar", {"deep/c.JPG": png("blue"), "deep/c.txt": b"a blue one"})
    write_shard(tmp_path / "val-000000.tar", {"z.png": png("white"), "z.txt": b"a white one"})
    return tmp_path


def test_samples_come_in_shard_order_caption_first(folder):
    source = WebDataset(str(folder))
    assert isinstance(source, Source) and len(source) == 3
    assert [source[i][0].content for i in range(3)] == ["a red one", "ein grünes", "a blue one"]
    colours = [source[i][1].content.getpixel((0, 0)) for i in range(3)]
    assert colours == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert [segment.modality for segment in source[0]] == ["text", "image"]
    assert source.metadata(0) == {"subset": "x", "n": 1} and source.metadata(2) == {}
    assert source.caption(1) == "ein grünes"


def test_the_split_is_the_name_of_the_shards(folder):
    assert WebDataset(str(folder), "val")[0][0].content == "a white one"


@pytest.mark.parametrize(
    "where, captions",
    [
        ({"subset": "y"}, ["ein grünes"]),
        ({"subset": "x", "n": 1}, ["a red one"]),
        ({}, ["a red one", "ein grünes", "a blue one"]),
    ],
)
def test_where_chooses_by_metadata(folder, where, captions):
    source = WebDataset(str(folder), where=where)
    assert [source.caption(i) for i in range(len(source))] == captions
    assert not source.skipped


def test_where_may_ask_for_lists(tmp_path):
    write_shard(tmp_path / "train-0.tar", {"a.png": png("red"), "a.txt": b"a", "a.json": b'{"tones": []}'})
    assert len(WebDataset(str(tmp_path), where={"tones": []})) == 1


def test_nothing_left_is_an_error_that_says_why(folder):
    with pytest.raises(ValueError, match=r"no sample .*'subset': 'none'"):
        WebDataset(str(folder), where={"subset": "none"})


def test_faulty_samples_are_dropped_counted_and_named(tmp_path, caplog):
    write_shard(
        tmp_path / "train-0.tar",
        {"a.png": png("red"), "b.txt": b"b", "c.png": png("red"), "c.txt": b"c", "c.cls": b"1", "d.jpg": b"",
         "e.png": png("red"), "e.txt": b"e", "e.json": b"{"},
    )  # fmt: skip
    source = WebDataset(str(tmp_path))
    assert source.skipped == {"no caption": 2, "no picture": 1} and len(source) == 2
    assert "train-0.tar:a (byte 512): no caption" in caplog.text
    with pytest.raises(ValueError, match=r"train-0\.tar:e\.json: not JSON"):
        source.metadata(1)
    write_shard(tmp_path / "val-0.tar", {"c.png": png("red"), "c.txt": b"c", "c.json": b'{"n": 1}',
                                         "e.png": png("red"), "e.txt": b"e", "e.json": b"[]"})  # fmt: skip
    source = WebDataset(str(tmp_path), "val", where={"n": 1})
    assert source.skipped == {"damaged metadata": 1} and len(source) == 1


def test_a_damaged_picture_or_caption_is_named(tmp_path):
    write_shard(
        tmp_path / "train-0.tar",
        {"a.png": png("red")[:40], "a.txt": b"a", "b.png": png("red"), "b.txt": b"\xff"},
    )
    source = WebDataset(str(tmp_path))
    with pytest.raises(ValueError, match=r"train-0\.tar:a\.png: "):
        source[0]
    with pytest.raises(ValueError, match=r"train-0\.tar:b\.txt: not UTF-8"):
        source[1]


def test_missing_shards_name_the_folder_and_the_pattern(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(FileNotFoundError, match=rf"{folder.name}: no shards test-\*\.tar"):
            WebDataset(str(folder), "test")


def test_a_cut_shard_is_one_fault_and_loses_its_tail_alone(folder):
    shard = folder / "train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:600])
    source = WebDataset(str(folder))
    assert source.skipped == {"truncated archive": 1} and len(source) == 2
    assert source.faults[0].path == str(shard) and source.faults[0].offset == 600


def test_pickles_in_a_shard_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    trap = pickle.dumps(Trap())
    write_shard(
        tmp_path / "train-0.tar",
        {"a.png": png("red"), "a.txt": b"a", "a.pkl": trap, "a.pyd": trap, "a.pth": trap},
    )
    assert len(WebDataset(str(tmp_path))[0]) == 2


def test_a_used_source_can_be_pickled_and_shared_with_workers(folder):
    source = WebDataset(str(folder))
    expected = [source[i][0].content for i in range(3)]
    copy = pickle.loads(pickle.dumps(source))
    assert [copy[i][0].content for i in range(3)] == expected
    loader = torch.utils.data.DataLoader(
        source, batch_size=None, num_workers=2, collate_fn=lambda d: d[0].content
    )
    assert list(loader) == expected


def test_dots_in_a_key_follow_the_convention_of_the_format(tmp_path):
    files = {"x.y/a.png": png("red"), "x.y/a.txt": b"a", "x.y/a.seg.png": png("blue")}
    write_shard(tmp_path / "train-0.tar", files)
    source = WebDataset(str(tmp_path))
    assert len(source) == 1 and source[0][1].content.getpixel((0, 0)) == (255, 0, 0) and not source.skipped


@pytest.mark.parametrize(
    "name, split, where, count",
    [("easy_vqa", "val", None, 431), ("emoji", "val", None, 188), ("emoji", "val", {"subset": "combo"}, 85)],
)
def test_published_sets_are_read(name, split, where, count):
    if not (SHARED / name).is_dir():
        pytest.skip(f"the data set {name} is not beside the repository")
    source = WebDataset(str(SHARED / name), split, where)
    assert len(source) == count and not source.skipped
    text, image = source[count - 1]
    assert text.content == source.metadata(count - 1)["caption"] and image.content.size == (64, 64)


# ---- several sources, and folders of images


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_together_is_one_source_after_the_other(sizes):
    sources = [Named(f"{number}", size) for number, size in enumerate(sizes)]
    together = Concat(sources)
    whole = [source[i][0].content for source in sources for i in range(len(source))]
    assert [together[i][0].content for i in range(len(together))] == whole
    with pytest.raises(IndexError, match=f"index {len(whole)} of {len(whole)} documents"):
        together[len(whole)]


def test_a_folder_of_pictures_is_read_by_name_and_below(tmp_path):
    (tmp_path / "below").mkdir()
    for name, size in (("b.PNG", (3, 4)), ("below/a.jpg", (5, 6)), ("notes.txt", None)):
        if size:
            Image.new("RGB", size).save(tmp_path / name)
        else:
            (tmp_path / name).write_text("no picture")
    folder = PictureFolder(str(tmp_path))
    assert [folder[i][0].content.size for i in range(len(folder))] == [(3, 4), (5, 6)]


@pytest.mark.parametrize("path", ["absent", "."])
def test_a_folder_without_pictures_is_named(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"{path}: no images"):
        PictureFolder(path)


def test_a_source_without_a_validation_set_is_split():
    whole = ShapesSource(canvas=48, count=40)
    train, val = train_and_val(None, whole, None)
    assert (len(train), len(val)) == (38, 2)
    for alone in ((None, None, whole), (None, "store", None)):
        with pytest.raises(ValueError, match="needs its counterpart"):
            train_and_val(*alone)
