"""Plain text by paragraph, line or file."""

import pytest

from tests.data.samples import all_told, formats, whole


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("paragraph", ["one\ntwo", "thrée"]),
        ("line", ["one", "two", "thrée"]),
        ("file", ["one\ntwo\n \n\nthrée"]),
    ],
)
def test_plain_text(tmp_path, unit, expected):
    (tmp_path / "a.txt").write_text("\none\ntwo\n \n\nthrée\n", encoding="utf-8")
    assert formats(tmp_path) == "text"
    assert all_told(whole(tmp_path, unit=unit)) == [[text] for text in expected]
