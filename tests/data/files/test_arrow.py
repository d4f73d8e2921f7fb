"""Parquet and Arrow from anybody: what swells is refused before it takes memory, damages are faults."""

import datetime
import json

import pytest

from tests.data.samples import all_told, png, told
from unitok.data.faults import Fault
from unitok.data.files import arrow
from unitok.data.files.arrow import ParquetRows, SavedRows
from unitok.data.source import read
from unitok.data.sources import open_data

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(arrow, "ALWAYS_ALLOWED", 2**22)


def write(path, table, **options):
    parquet.write_table(pyarrow.table(table), path, compression="zstd", **options)
    return path


def repeated(value, count: int):
    """A value many times, in the bytes of one."""
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * count, pyarrow.int32()), pyarrow.array([value])
    )


BOMBS = {
    "dictionary": lambda: repeated("x" * 10_000, 50_000),
    "page": lambda: ["x" * 2**23],
    "struct": lambda: pyarrow.StructArray.from_arrays([pyarrow.array([b"x" * 10_000] * 9_000)], ["bytes"]),
    "list": lambda: [[7] * 2**20],
    "run": lambda: pyarrow.array([7] * 2**20, pyarrow.int32()),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_rows_that_swell_are_refused_before_they_take_memory(tmp_path, small, kind):
    options = {"row_group_size": 2**22, "store_schema": False}
    file = write(tmp_path / "a.parquet", {"text": BOMBS[kind]()}, **options)
    assert file.stat().st_size < 40_000
    before = pyarrow.total_allocated_bytes()
    rows = ParquetRows(file)
    taken = []
    with pytest.raises(arrow.TooLarge):
        for _ in arrow._limit_memory(rows._read(0), limit=2**22):
            taken.append(pyarrow.total_allocated_bytes() - before)
    assert max(taken, default=0) < 2**24
    found = [read(open_data(file, format="texts", text_column="text"), index) for index in (0, len(rows) - 1)]
    assert [fault.reason for fault in found] == ["archive too large"] * 2


def test_a_group_that_cannot_be_read_is_read_once(tmp_path, small, monkeypatch):
    rows = ParquetRows(
        write(tmp_path / "a.parquet", {"text": repeated("x" * 10_000, 5_000)}, store_schema=False)
    )
    reads = []
    monkeypatch.setattr(rows, "_read", lambda number: reads.append(number) or ParquetRows._read(rows, number))
    for index in range(9):
        with pytest.raises(ValueError, match=rf"a\.parquet:{index}: it unpacks to more than"):
            rows[index]
    assert reads == [0]


def test_what_fits_is_read_whatever_its_form(tmp_path, small):
    rows = [{"image": {"bytes": png("red"), "path": None}, "text": str(number)} for number in range(3000)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=2500)
    source = open_data(tmp_path / "a.parquet")
    assert [told(source[index])[0] for index in (0, 1023, 1024, 2499, 2500, 2999)] == [
        *("0", "1023", "1024", "2499", "2500", "2999"),
    ]  # fmt: skip


def test_what_python_has_no_value_for_is_a_fault_of_its_row(tmp_path):
    far = pyarrow.array([0, 2**62], pyarrow.int64()).cast(pyarrow.timestamp("us"), safe=False)
    wrong = pyarrow.array([b"one", b"\xff"]).view(pyarrow.string())
    table = {"text": ["one", "two"], "when": far}
    source = open_data(write(tmp_path / "a.parquet", table))
    assert told(source[0]) == ["one"] and read(source, 1).reason == "unreadable"
    source = open_data(write(tmp_path / "b.parquet", {"text": wrong}))
    assert told(source[0]) == ["one"] and read(source, 1).reason == "not UTF-8"


def test_captions_of_other_kinds_are_texts_or_faults(tmp_path):
    import decimal

    cells = {
        "large": pyarrow.array(["one"], pyarrow.large_string()),
        "view": pyarrow.array(["one"]).dictionary_encode(),
        "binary": pyarrow.array([b"one"]),
        "decimal": [decimal.Decimal("1.5")],
        "time": [datetime.datetime(2020, 1, 1)],
        "nested": [[["one"]]],
        "flag": [True],
        "struct": [{"en": "one"}],
    }
    found = {}
    for name, cell in cells.items():
        table = {"image": [png()], "text": cell}
        document = read(open_data(write(tmp_path / f"{name}.parquet", table)), 0)
        found[name] = document.reason if isinstance(document, Fault) else document[0].content
    assert found == dict.fromkeys(cells, "caption is no text") | dict.fromkeys(
        ("large", "view", "binary"), "one"
    )


def test_a_column_twice_is_refused_or_read(tmp_path):
    table = pyarrow.Table.from_arrays(
        [pyarrow.array(["one"]), pyarrow.array(["two"])], names=["text", "text"]
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="must be distinct, got text, text"):
        open_data(tmp_path / "a.parquet")


@pytest.mark.parametrize("damage", ["cut", "garbled", "empty", "text"])
def test_a_damaged_file_is_one_clear_line(tmp_path, damage):
    file = write(tmp_path / "a.parquet", {"text": ["one"] * 50})
    whole = file.read_bytes()
    content = {
        "cut": whole[:-20],
        "garbled": whole[:-60] + b"\xff" * 40 + whole[-20:],
        "empty": b"",
        "text": b"PAR1",
    }
    file.write_bytes(content[damage])
    with pytest.raises(ValueError, match=r"a\.parquet: not a complete Parquet file: ") as error:
        open_data(file, format="texts")
    assert "\n" not in str(error.value)


def test_pages_that_are_damaged_are_faults_of_their_rows(tmp_path):
    file = write(tmp_path / "a.parquet", {"text": [f"{n:09}" for n in range(50)]}, row_group_size=25)
    whole = bytearray(file.read_bytes())
    whole[20:60] = bytes(40)
    file.write_bytes(whole)
    source = open_data(file, format="texts")
    found = [read(source, index) for index in range(50)]
    assert [isinstance(one, Fault) for one in found] == [True] * 25 + [False] * 25


def save(folder, table, *, rows: int, compression: str | None) -> None:
    """A set as HF datasets saves it, in batches of so many rows."""
    options = pyarrow.ipc.IpcWriteOptions(compression=compression)
    with (
        pyarrow.OSFile(str(folder / "a.arrow"), "wb") as sink,
        pyarrow.ipc.new_stream(sink, table.schema, options=options) as opened,
    ):
        opened.write_table(table, max_chunksize=rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}]}))


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_saved_set_of_batches(tmp_path, compression):
    table = pyarrow.Table.from_pylist([{"text": str(number)} for number in range(50)])
    save(tmp_path, table, rows=7, compression=compression)
    assert all_told(open_data(tmp_path)) == [[str(number)] for number in range(50)]
    whole = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a complete data set"):
        open_data(tmp_path, format="texts")


def test_a_saved_set_that_swells_is_refused(tmp_path, small):
    table = pyarrow.table({"text": ["x" * 2**20] * 64})
    save(tmp_path, table, rows=1, compression="zstd")
    rows = SavedRows(tmp_path)
    before = pyarrow.total_allocated_bytes()
    with pytest.raises(ValueError, match="it unpacks to more than"):
        rows[0]
    assert pyarrow.total_allocated_bytes() - before < 2**24


def test_a_fault_names_the_file_and_the_row_in_it(tmp_path):
    write(tmp_path / "a.parquet", {"image": [png()] * 3, "text": ["one"] * 3}, row_group_size=2)
    write(tmp_path / "b.parquet", {"image": [png()] * 3, "text": ["one", "two", None]}, row_group_size=2)
    source = open_data(tmp_path)
    assert read(source, 5).path == f"{tmp_path / 'b.parquet'}:2"


@pytest.mark.parametrize(
    "state",
    ["[" * 100_000, "{}", "[]", '{"_data_files": []}', '{"_data_files": [{"filename": ""}]}',
     json.dumps({"_data_files": [{"filename": "x" * 300}]}), '{"_data_files": [{"filename": "a\\u0000"}]}'],
)  # fmt: skip
def test_a_saved_set_without_its_files_is_one_clear_line(tmp_path, state):
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(ValueError, match="not a complete data set of HF datasets: ") as error:
        open_data(tmp_path, format="texts")
    assert "\n" not in str(error.value)
