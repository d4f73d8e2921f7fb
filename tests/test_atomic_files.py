"""A file or folder is the old one or the new one, whatever happens, and nothing else is left or lost."""

import errno
import os
import platform
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitok.atomic_files import (
    RUN,
    STAGING,
    atomic_file,
    atomic_folder,
    finish_folder,
    refuse_occupied,
    temporary_name,
    write_bytes,
    write_text,
)

ROOT = Path(__file__).parents[1]


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fill(folder: Path, content: str = "new") -> None:
    (folder / "a").write_text(content)
    (folder / "inner").mkdir()
    (folder / "inner/b").write_text(content)


FILLED = {"a": b"new", os.path.join("inner", "b"): b"new"}


def in_another_process(code: str) -> subprocess.Popen:
    """A process that runs `code` with this module's names, says so, and waits to be killed."""
    setup = "from unitok.atomic_files import *; import time\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{setup}{code}"], cwd=ROOT, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def killed_in(code: str) -> None:
    with in_another_process(code) as process:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)


WRITING_A_FILE = """
with atomic_file({!r}) as beside:
    beside.write_text("half"); print("writing", flush=True); time.sleep(600)
"""
WRITING_A_FOLDER = """
with atomic_folder({!r}) as beside:
    (beside / "a").write_text("half"); print("writing", flush=True); time.sleep(600)
"""


class TestFiles:
    def test_a_file_is_written_with_the_folders_above_it(self, tmp_path):
        write_text(tmp_path / "new/deep/f", "星…")
        assert tree(tmp_path) == {"new/deep/f": "星…".encode()}

    @pytest.mark.parametrize("durable", [False, True])
    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path, durable):
        write_text(tmp_path / "f", "old")
        with pytest.raises(RuntimeError), atomic_file(tmp_path / "f", durable=durable) as beside:
            beside.write_text("half")
            raise RuntimeError
        assert tree(tmp_path) == {"f": b"old"}
        write_bytes(tmp_path / "f", b"new", durable=durable)
        assert tree(tmp_path) == {"f": b"new"}

    def test_a_full_disk_is_told_by_the_files_own_name(self, tmp_path):
        write_text(tmp_path / "f", "old")
        with pytest.raises(OSError, match=r"No space.*f'$") as caught, atomic_file(tmp_path / "f"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.errno == errno.ENOSPC
        assert tree(tmp_path) == {"f": b"old"}

    def test_other_errors_keep_their_words(self, tmp_path):
        with pytest.raises(OSError, match=r"^the source is gone$"), atomic_file(tmp_path / "f"):
            raise OSError("the source is gone")

    @pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
    def test_the_mode_is_the_umasks_whatever_the_writer_makes_of_it(self, tmp_path, umask):
        before = os.umask(umask)
        try:
            with atomic_file(tmp_path / "f") as beside:
                beside.unlink()
                beside.touch(0o600)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o666 & ~umask

    def test_a_link_is_followed(self, tmp_path):
        (tmp_path / "far").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "far/f")
        write_text(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink() and tree(tmp_path / "far") == {"f": b"new"}

    def test_a_folder_is_not_replaced(self, tmp_path):
        (tmp_path / "f").mkdir()
        with pytest.raises(IsADirectoryError, match=r"f'$"):
            write_text(tmp_path / "f", "new")
        assert os.listdir(tmp_path) == ["f"]

    def test_what_a_killed_process_left_is_removed_by_the_next_write(self, tmp_path):
        killed_in(WRITING_A_FILE.format(str(tmp_path / "f")))
        assert len(os.listdir(tmp_path)) == 1
        write_text(tmp_path / "another", "")
        assert len(os.listdir(tmp_path)) == 2
        write_text(tmp_path / "f", "new")
        assert sorted(os.listdir(tmp_path)) == ["another", "f"]

    def test_what_a_living_process_writes_stays(self, tmp_path):
        with in_another_process(WRITING_A_FILE.format(str(tmp_path / "f"))) as process:
            process.stdout.readline()
            write_text(tmp_path / "f", "new")
            assert len(os.listdir(tmp_path)) == 2
            process.kill()

    @pytest.mark.parametrize(
        "of, stays",
        [
            ({"run": "00000000"}, False),  # an earlier process with this one's number
            ({}, True),
            ({"process": 2**22 + 1}, False),
            ({"process": 1, "run": "00000000"}, True),
            ({"process": 2**70}, False),
            ({"host": "00000000"}, True),
            ({"host": "00000000", "hours": 25}, False),
        ],
    )
    def test_whose_leftovers_are_removed(self, tmp_path, of, stays):
        here = {
            "host": f"{crc32(platform.node().encode()):08x}",
            "process": os.getpid(),
            "run": RUN,
            "hours": 0,
        }
        names = here | of
        left = tmp_path / ".f.{host}-{process}-{run}-12345678.part".format(**names)
        left.write_text("")
        os.utime(left, (time.time() - 3600 * names["hours"],) * 2)
        write_text(tmp_path / "f", "new")
        assert left.exists() == stays

    @pytest.mark.parametrize("name", [".f.123.part", ".f.part", ".f.notes.part", "f.part", ".g.1-1-1.part"])
    def test_what_only_looks_alike_stays(self, tmp_path, name):
        (tmp_path / name).write_text("mine")
        write_text(tmp_path / "f", "new")
        assert (tmp_path / name).read_text() == "mine"

    @given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
    def test_names_beside_are_valid_and_never_the_same(self, name):
        first, second = (temporary_name(Path("/folder") / name) for _ in range(2))
        assert first != second and first.parent == (Path("/folder") / name).parent
        assert len(os.fsencode(first.name)) <= 255 or len(os.fsencode(name)) > 255

    def test_threads_and_forks_do_not_meet(self, tmp_path):
        failures = []

        def write(number: int) -> None:
            try:
                for _ in range(20):
                    write_bytes(tmp_path / "f", bytes([number]) * 100)
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not failures and os.listdir(tmp_path) == ["f"]
        assert len(set((tmp_path / "f").read_bytes())) == 1


class TestFolders:
    @pytest.mark.parametrize("durable", [False, True])
    def test_a_folder_is_written(self, tmp_path, durable):
        with atomic_folder(tmp_path / "deep/m", durable=durable) as beside:
            fill(beside)
            assert not (tmp_path / "deep/m").exists()
        assert tree(tmp_path / "deep/m") == FILLED
        assert os.listdir(tmp_path / "deep") == ["m"]

    def test_what_else_a_folder_holds_stays(self, tmp_path):
        (tmp_path / "inner").mkdir()
        for name in ("notes.txt", "a", "inner/mine"):
            (tmp_path / name).write_text("old")
        with atomic_folder(tmp_path) as beside:
            fill(beside)
        assert tree(tmp_path) == FILLED | {"notes.txt": b"old", "inner/mine": b"old"}
        assert sorted(os.listdir(tmp_path)) == ["a", "inner", "notes.txt"]

    @pytest.mark.parametrize("there", [False, True])
    def test_a_failed_write_leaves_what_was_there_and_nothing_else(self, tmp_path, there):
        target = tmp_path / "m"
        if there:
            target.mkdir()
            (target / "a").write_text("old")
        with pytest.raises(RuntimeError), atomic_folder(target) as beside:
            fill(beside)
            raise RuntimeError
        assert tree(tmp_path) == ({"m/a": b"old"} if there else {})
        assert target.exists() == there

    def test_the_working_folder_can_be_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with atomic_folder(".") as beside:
            fill(beside)
        assert tree(Path(".")) == FILLED

    @pytest.mark.parametrize("dangling", [False, True])
    def test_a_link_is_followed(self, tmp_path, dangling):
        if not dangling:
            (tmp_path / "far").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "far")
        with atomic_folder(tmp_path / "link") as beside:
            fill(beside)
        assert (tmp_path / "link").is_symlink() and tree(tmp_path / "far") == FILLED
        assert sorted(os.listdir(tmp_path)) == ["far", "link"]

    def test_a_file_is_not_replaced(self, tmp_path):
        (tmp_path / "m").write_text("mine")
        with pytest.raises(FileExistsError, match=r"m'$"), atomic_folder(tmp_path / "m"):
            pass
        assert tree(tmp_path) == {"m": b"mine"}

    @pytest.mark.parametrize("name, kind", [("a", "folder"), ("inner", "file"), ("inner", "link")])
    def test_another_kind_in_a_files_place_is_not_replaced(self, tmp_path, name, kind):
        target, far = tmp_path / "m", tmp_path / "far"
        target.mkdir(), far.mkdir()
        {
            "folder": lambda p: p.mkdir(),
            "file": lambda p: p.touch(),
            "link": lambda p: p.symlink_to(far),
        }[kind](target / name)
        with pytest.raises(FileExistsError, match=f"{name}'$"), atomic_folder(target) as beside:
            fill(beside)
        assert os.listdir(target) == [name] and not os.listdir(far)

    def test_the_modes_are_the_umasks(self, tmp_path):
        before = os.umask(0o027)
        try:
            with atomic_folder(tmp_path / "m") as beside:
                fill(beside)
                (beside / "inner/b").chmod(0o600)
        finally:
            os.umask(before)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
        assert modes == {"m": 0o750, "inner": 0o750, "a": 0o640, "b": 0o640}

    @pytest.mark.parametrize("there", [False, True])
    def test_what_a_killed_process_left_is_removed_by_the_next_write(self, tmp_path, there):
        target = tmp_path / "m"
        if there:
            target.mkdir()
        killed_in(WRITING_A_FOLDER.format(str(target)))
        assert len(list(tmp_path.iterdir())) == 1
        refuse_occupied(target, ours=False, what="ours")
        with atomic_folder(target) as beside:
            fill(beside)
        assert os.listdir(tmp_path) == ["m"] and sorted(os.listdir(target)) == ["a", "inner"]

    @pytest.mark.parametrize("renames", range(5))
    def test_killed_between_renames_it_is_finished_by_whoever_opens_it(self, tmp_path, monkeypatch, renames):
        old = {"a": b"old", os.path.join("inner", "b"): b"old"}
        with atomic_folder(tmp_path) as beside:
            fill(beside, "old")
        left, real = iter(range(renames)), os.replace

        def replace(source, target):
            if next(left, None) is None:
                raise Killed
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            with atomic_folder(tmp_path) as beside:
                fill(beside)
        except Killed:
            pass
        monkeypatch.setattr(os, "replace", real)
        finish_folder(tmp_path)
        assert tree(tmp_path) == (FILLED if renames else old)
        assert sorted(os.listdir(tmp_path)) == ["a", "inner"]

    def test_what_was_cut_off_is_finished_before_the_next_write(self, tmp_path):
        (tmp_path / STAGING).mkdir()
        (tmp_path / STAGING / "c").write_text("of the earlier write")
        with atomic_folder(tmp_path) as beside:
            fill(beside)
        assert tree(tmp_path) == FILLED | {"c": b"of the earlier write"}

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_no_permission_is_told_by_the_folders_own_name(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError, match=r"/m'$"), atomic_folder(tmp_path / "m"):
            pass


class Killed(BaseException):
    """As if the process were gone."""
