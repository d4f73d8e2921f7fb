"""The layouts in the table of docs/your-data.md are read, or refused by the sentence that stands there."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.data.samples import all_told, png, told, write_tar
from unitok.data.sources import open_data

PAGE = (Path(__file__).parents[3] / "docs/your-data.md").read_text()
TABLE = PAGE.partition("### Layouts\n")[2].partition("\n## ")[0]


class Row(NamedTuple):
    """A row of the page: what lies there, the format it is read as, or the sentence that refuses it."""

    name: str
    format: str
    sentence: str


ROWS = {
    row.name: row
    for row in (
        Row(*(cell.strip() for cell in line.strip("|").split(" | ")))
        for line in TABLE.splitlines()
        if line.startswith("| ") and not line.startswith("| layout ")
    )
}

IMAGES = {"red.png": png("red"), "blue.png": png("blue")}
NAMES = {"red.png": "a red one", "blue.png": "a blue one"}
RECORDS = [{"file_name": name, "text": said} for name, said in NAMES.items()]
CSV = "filepath,title\nred.png,a red one\nblue.png,a blue one\n"
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)
CLASSES = {"a_red_one/0.png": png("red"), "a_blue_one/0.png": png("blue")}
PAIRS = {"red.txt": "a red one", "blue.txt": "a blue one"}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {
            "filepath": "train2014",
            "filename": "red.png",
            "split": "train",
            "sentences": [{"raw": "a red one"}],
        },
        {
            "filepath": "val2014",
            "filename": "blue.png",
            "split": "restval",
            "sentences": [{"raw": "a blue one"}],
        },
    ],
}
YOLO = "0 0.5 0.5 0.25 0.25\n2 .1 .1 .2 .2\n"


def under(folder: str, files: Mapping) -> dict:
    return {f"{folder}/{name}": content for name, content in files.items()}


def separated(letter: str) -> str:
    return CSV.replace(",", letter)


def parquet(rows: list[dict]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def embedded() -> list[dict]:
    return [
        {"image": {"bytes": content, "path": None}, "caption": NAMES[name]}
        for name, content in IMAGES.items()
    ]


def saved() -> dict:
    """What `save_to_disk` writes."""
    import pyarrow

    table, buffer = pyarrow.Table.from_pylist(embedded()), io.BytesIO()
    with pyarrow.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    return {
        "state.json": json.dumps(state),
        "dataset_info.json": "{}",
        "data-00000-of-00001.arrow": buffer.getvalue(),
    }


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


def shard() -> dict:
    return {"00000.tar": "tar", "00000.parquet": parquet([{"url": "https://a/b", "caption": "a red one"}]),
            "00000_stats.json": '{"count": 2}'}  # fmt: skip


READ = {
    "a `.csv` or `.tsv` separated by commas, semicolons, tabs or bars": [
        *({**IMAGES, "data.csv": separated(letter)} for letter in ",;\t|"),
        {**IMAGES, "data.tsv": separated("\t")}, {**IMAGES, "DATA.CSV": separated(";")},
    ],
    "column names in any case, with spaces or underscores, or no header": [
        *({**IMAGES, "data.csv": CSV.replace("filepath,title", names)}
          for names in ("Image,Caption", "FILEPATH,TITLE", "filepath, title", "File Name,Text", "Img ,text")),
        {**IMAGES, "data.csv": separated(", ")}, {**IMAGES, "data.csv": separated(" | ")},
        {**IMAGES, "data.csv": CSV.partition("\n")[2]},
        {**IMAGES, "data.csv": "title,filepath\na red one,red.png\na blue one,blue.png\n"},
    ],
    "a table in UTF-16, with a byte order mark, or with Windows or old Mac line endings": [
        *({**IMAGES, "data.csv": CSV.encode(name)}
          for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig")),
        *({**IMAGES, "data.csv": CSV.replace("\n", end)} for end in ("\r", "\r\n")),
        {**IMAGES, "data.jsonl": LINES.encode("utf-16")},
    ],
    "a table with other column names, one of them of images that are there and one of words": [
        {**IMAGES, "data.csv": CSV.replace("filepath,title", "photo,sentence")},
        {"data.csv": CSV.replace("filepath,title", "file,label"), **under("images", IMAGES)},
    ],
    "a table beside other record files": [
        {**IMAGES, "data.csv": CSV, "stats.json": "{}"},
        {**IMAGES, "data.csv": CSV, "stats.csv": "name,count\nred,1\n", "notes.txt": "by hand"},
    ],
    "a table with its images in a subfolder": [
        {"data.csv": CSV, **under("images", IMAGES)}, {"data.jsonl": LINES, **under("Images", IMAGES)},
        {"data.csv": CSV, **under("images", IMAGES), **under("masks", {"0.png": png("lime")})},
    ],
    "any of these in a nested folder, as unpacking creates": [
        under("set", {**IMAGES, "data.csv": CSV}), under("set/set", {**IMAGES, **PAIRS}),
        {**under("set", CLASSES), "__MACOSX/._a.png": b"?", "README.md": "# A set", "LICENSE": "-"},
    ],
    "a `.json` list, JSON lines, a list under a key, or a table written by pandas": [
        {**IMAGES, "data.json": json.dumps(RECORDS)}, {**IMAGES, "data.json": LINES},
        {**IMAGES, "data.jsonl": LINES},
        {**IMAGES, "data.json": json.dumps({"version": 1, "data": RECORDS})},
        {**IMAGES, "data.json": json.dumps({"schema": {"fields": []}, "data": RECORDS})},
        {**IMAGES, "data.json": json.dumps(
            {key: {str(row): record[key] for row, record in enumerate(RECORDS)} for key in RECORDS[0]})},
    ],
    'a `.json` that maps image names to captions, `{"red.png": "a red one"}`': [
        {**IMAGES, "data.json": json.dumps(NAMES)},
        {**IMAGES, "data.json": json.dumps({name: [said, "?"] for name, said in NAMES.items()})},
    ],
    "Karpathy's `dataset_coco.json`, one document per sentence": [
        {"dataset_coco.json": json.dumps(KARPATHY), "train2014/red.png": png("red"),
         "val2014/blue.png": png("blue")},
    ],
    "Flickr's `captions.txt`, `Flickr8k.token.txt` and `results.csv`": [
        {"captions.txt": CSV.replace("filepath,title", "image,caption"), **under("Images", IMAGES)},
        {"Flickr8k.token.txt": "red.png#0\ta red one\nblue.png#0\ta blue one\n",
         **under("Flicker8k_Dataset", IMAGES)},
        {"results.csv": "image_name| comment_number| comment\nred.png| 0| a red one\nblue.png| 1| a blue one",
         **under("flickr30k_images", IMAGES)},
    ],
    "`metadata.csv`, `.jsonl` or `.parquet`, also above its split folders": [
        {**IMAGES, "metadata.csv": separated(";").replace("filepath", "file_name")},
        {**IMAGES, "metadata.jsonl": LINES}, {**IMAGES, "Metadata.JSONL": LINES},
        {"metadata.jsonl": LINES.replace("red.png", "train/red.png").replace("blue.png", "test/blue.png"),
         "train/red.png": png("red"), "test/blue.png": png("blue")},
    ],
    "images with a `.txt`, `.TXT`, `.jpg.txt` or `.caption` each, at any depth": [
        {**IMAGES, **PAIRS}, under("a/b", {**IMAGES, **PAIRS}),
        *({**IMAGES, f"red{suffix}": "a red one", f"blue{suffix}": "a blue one"} for suffix in
          (".TXT", ".png.txt", ".caption", ".png.caption")),
        {"RED.PNG": png("red"), "BLUE.JPEG": png("blue"), "RED.TXT": "a red one", "BLUE.TXT": "a blue one"},
        {**under("10_it", {"red.png": png("red"), "red.caption": "a red one"}),
         **under("5_it", {"blue.png": png("blue"), "blue.caption": "a blue one"})},
    ],
    "img2dataset's shards or folders of files, with the tables it writes beside them": [
        shard,
        lambda: {**under("00000", {**IMAGES, **PAIRS, "red.json": '{"caption": "?"}'}),
                 "00000.parquet": shard()["00000.parquet"], "00000_stats.json": '{"count": 2}'},
    ],
    "class folders, even if one is empty, an image lies beside them, or the system left files there": [
        {**CLASSES, "violet/.keep": ""}, {**CLASSES, "violet/Thumbs.db": b"?"},
        {**CLASSES, "overview.png": png("lime")},
        {**CLASSES, **under("__MACOSX/a_red_one", {"._0.png": b"?"})},
        {**CLASSES, **under(".ipynb_checkpoints", IMAGES), "Thumbs.db": b"?", "README.txt": "-"},
    ],
    "one Parquet file, a folder of them, or a folder `data` of them": [
        lambda: {"a.parquet": parquet(embedded())}, lambda: {"data/train-0.parquet": parquet(embedded())},
        lambda: {f"{number}.parquet": parquet([row]) for number, row in enumerate(embedded())},
    ],
    "a set saved by `save_to_disk` of HF `datasets`": [saved],
}  # fmt: skip

ALONE = {
    "images without captions, suffixes in any case": [
        {"RED.PNG": png("red"), "Blue.JPEG": png("blue")}, under("a/b", IMAGES),
        {**IMAGES, "README.md": "# A set", "LICENSE.txt": "-", "set.yaml": "a: 1", "Thumbs.db": b"?"},
    ],
}  # fmt: skip

REFUSED = {
    "a table with other column names, several of them of texts": [
        {**IMAGES, "data.csv": "photo,sentence,source\nred.png,a red one,a book\n"},
        {**CLASSES, "data.csv": "photo;sentence;source\na_red_one/0.png;a red one;a book\n"},
    ],
    "a table in Latin-1 or another legacy encoding": [
        {**IMAGES, "data.csv": "filepath,title\nred.png,boîte\nblue.png,boîte\n".encode("latin-1")},
        {**IMAGES, "data.csv": "filepath,légende\nred.png,a\n".encode("latin-1")},
    ],
    "a corrupt or empty record file": [
        {**IMAGES, "data.json": '{"half": '}, {**IMAGES, "data.json": "[]"}, {**IMAGES, "data.csv": ""},
        {**IMAGES, "data.jsonl": "red.png: a red one\n"},
    ],
    "a spreadsheet": [{**IMAGES, "data.xlsx": packed()}, {**IMAGES, "more/data.xlsx": packed()}],
    "an archive beside the images": [{**IMAGES, "more.zip": packed()}, {**IMAGES, "more.7z": b"?"}],
    "texts, each beside a `.heic`, `.avif`, `.svg`, `.pdf` or `.npy` of the same name": [
        {f"0{suffix}": b"?", "0.txt": "a red one"} for suffix in (".heic", ".avif", ".svg", ".pdf", ".npy")
    ],
    "an archive beside notes": [{"more.zip": packed(), "README.md": "# A set"}],
    "captions in a pickle, in arrays or in a database": [
        {**IMAGES, "captions.pkl": b"?"}, {**IMAGES, "a/c.npy": b"?"},
    ],
    "captions in markup, each beside an image of the same name": [
        {**IMAGES, "red.yaml": "caption: a red one"}, {**under("a", IMAGES), "a/blue.md": "a blue one"},
        {**IMAGES, "red.xml": "<a/>"}, {**CLASSES, "a_red_one/0.html": "<p>a red one</p>"},
    ],
    "YOLO's boxes, in a folder `labels` or beside the images": [
        {**under("images", IMAGES), **under("labels", {"red.txt": YOLO, "blue.txt": ""})},
        {**under("train/images", IMAGES), **under("train/labels", {"red.txt": YOLO})},
        {**IMAGES, "red.txt": YOLO, "blue.txt": YOLO},
    ],
    "captions in a separate folder": [
        {**under("images", IMAGES), **under("captions", PAIRS)},
        {**CLASSES, "a_red_one/words.txt": "a red one"},
    ],
    "a table in a separate folder": [
        {**under("images", IMAGES), "annotations/data.csv": CSV},
        {**IMAGES, "captions/data.json": json.dumps(RECORDS)},
    ],
    "several tables": [
        {**IMAGES, "a.csv": CSV, "b.csv": CSV}, {**IMAGES, "a.json": json.dumps(RECORDS), "b.csv": CSV},
    ],
    "the same images twice, such as thumbnails": [
        {**under("images", IMAGES), **under("thumbnails", IMAGES)},
        {**under("images", IMAGES), **under("masks", IMAGES)},
    ],
    "two folders for one split": [
        {**under("train", CLASSES), **under("eval", CLASSES), **under("val", CLASSES)},
    ],
    "no known format": [{"a.xyz": "?", "b.xyz": "?"}],
}  # fmt: skip


def lay(folder: Path, layout) -> Path:
    if callable(layout):
        pytest.importorskip("pyarrow")
        layout = layout()
    for name, content in layout.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if content == "tar":
            write_tar(file, {**IMAGES, **{key: value.encode() for key, value in PAIRS.items()}})
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def each(layouts: Mapping) -> list:
    return [
        pytest.param(ROWS.get(name), layout, id=f"{name[:40]}-{number}")
        for name, some in layouts.items()
        for number, layout in enumerate(some)
    ]


def test_each_row_of_the_page_has_a_test_and_each_test_a_row():
    assert set(ROWS) == {*READ, *ALONE, *REFUSED}
    for names, refused in ((REFUSED, True), ({**READ, **ALONE}, False)):
        assert all(
            bool(ROWS[name].sentence) is refused and bool(ROWS[name].format) is not refused for name in names
        )


@pytest.mark.parametrize(("row", "layout"), each(READ))
def test_a_layout_is_read(tmp_path, row, layout):
    source = open_data(lay(tmp_path, layout))
    assert f"`{source.format}`" in row.format
    assert sorted(all_told(source)) == [["a blue one", "<blue>"], ["a red one", "<red>"]]
    assert {Path(fault.path).name for fault in source.faults} <= {"overview.png"}


@pytest.mark.parametrize(("row", "layout"), each(ALONE))
def test_images_alone_are_read_as_such(tmp_path, row, layout):
    source = open_data(lay(tmp_path, layout))
    assert f"`{source.format}`" in row.format and sorted(all_told(source)) == [["<blue>"], ["<red>"]]


@pytest.mark.parametrize(("row", "layout"), each(REFUSED))
@pytest.mark.parametrize("part", [None, "train", "val"])
def test_a_layout_is_refused_in_one_line_by_the_sentence_on_the_page(tmp_path, row, layout, part):
    with pytest.raises(ValueError, match="") as error:
        open_data(lay(tmp_path, layout), split=part)
    words = row.sentence.strip("`").replace("\\|", "|")
    pattern = ".*".join(re.escape(piece) for piece in words.split("…"))
    assert re.search(pattern, str(error.value)) and "\n" not in str(error.value)


@pytest.mark.parametrize(("row", "layout"), each(REFUSED))
def test_an_image_tokenizer_takes_the_images_of_what_is_refused(tmp_path, row, layout):
    folder = lay(tmp_path, layout)
    if not any(name.endswith(".png") for name in layout) or row.name == "two folders for one split":
        return  # no image that a tokenizer could take
    source = open_data(folder, captions=False)
    assert {"<red>", "<blue>"} <= {told(document)[-1] for document in (source[i] for i in range(len(source)))}
