"""Rows of csv files come back, and unbalanced quotations cost linear time."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitok.data.files import csv_rows

UNBALANCED = [
    'a,"\n', ',"\n', '"\n', '""""\n', ',"""\n', 'x","\n', '",",\n', 'a,"x\nb,y\n', '"a","\n', '",\n",\n',
]  # fmt: skip


@pytest.mark.parametrize("line", UNBALANCED)
@pytest.mark.parametrize("end", ["", '"\n', 'a,"two\nlines"\n'])
def test_a_csv_of_unbalanced_quotations_is_read_in_linear_time(tmp_path, monkeypatch, line, end):
    work = []

    def quoted(content, *rest):
        work.append(len(content) + 1)
        return quoted_at_end(content, *rest)

    def parsed(self, row, **options):
        work.append(len(row) + 1)
        return parse(self, row, **options)

    quoted_at_end, parse = csv_rows._ends_quoted, csv_rows.DelimitedRows._parse
    monkeypatch.setattr(csv_rows, "_ends_quoted", quoted)
    monkeypatch.setattr(csv_rows.DelimitedRows, "_parse", parsed)
    monkeypatch.setattr(csv_rows, "MAX_WASTED", 2**12)
    file = tmp_path / "list.csv"
    file.write_text("image,text\n" + line * (6_000 // len(line)) + end)
    rows = csv_rows.DelimitedRows(file)
    assert sum(work) < 8 * file.stat().st_size + 2**12
    assert len(rows)


def test_rows_after_unbalanced_quotations_are_read(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text(
        "image,text\n" + 'a.png,"5 inch\n' * 500 + "".join(f'{n}.png,"two\nlines"\n' for n in range(500))
    )
    rows = csv_rows.DelimitedRows(file)
    assert len(rows) == 1000
    assert [rows[index]["text"] for index in range(500, 1000)] == ["two\nlines"] * 500


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.text(alphabet='a",\n', max_size=4), min_size=2, max_size=2), max_size=8))
def test_rows_that_csv_writes_come_back(rows):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list.csv"
        with file.open("w", newline="") as opened:
            csv.writer(opened, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
                [["image", "text"], *rows]
            )
        read = csv_rows.DelimitedRows(file)
        assert [[*read[index].values()] for index in range(len(read))] == rows
