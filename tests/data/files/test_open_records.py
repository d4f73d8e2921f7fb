"""The first look at a file of records reads it once."""

from unitok.data.files.open_records import FirstLook
from unitok.data.readers.detect_format import FORMATS


def test_a_look_reads_a_file_once(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    file.write_text("[1, 2]")
    look = FirstLook(file)
    assert look.record is None and look.json == [1, 2]
    file.unlink()
    assert not any(reader.fits(look) for reader in FORMATS.values())
