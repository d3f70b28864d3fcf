"""Outputs are written completely or not at all, and names from untrusted files cannot lead to other folders."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import (
    atomic_folder,
    atomic_path,
    check_name,
    check_source,
    check_target,
    ffmpeg_url,
    lock_folder,
    write_bytes,
    write_text,
)


def test_a_file_gets_its_name_when_it_is_complete(tmp_path):
    target = tmp_path / "a.bin"
    with atomic_path(target) as part:
        part.write_bytes(b"whole")
        assert not target.exists()
        assert part.parent == tmp_path
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_no_part_and_keeps_the_old_file(tmp_path, stop):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def stopped():
        with atomic_path(target, force=True) as part:
            part.write_bytes(b"half")
            raise stop

    with pytest.raises(stop):
        stopped()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("links", [True, False])
def test_a_target_created_in_the_meantime_is_not_replaced(tmp_path, monkeypatch, links):
    if not links:  # as on FAT
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(1, "not permitted")))
    target = tmp_path / "a.bin"

    def overtaken():
        with atomic_path(target) as part:
            part.write_bytes(b"ours")
            target.write_bytes(b"theirs")

    with pytest.raises(UsageError, match="exists already"):
        overtaken()
    assert target.read_bytes() == b"theirs"
    write_bytes(target, b"ours", force=True)
    assert target.read_bytes() == b"ours"
    write_bytes(tmp_path / "b.bin", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_the_temporary_name_cannot_be_guessed(tmp_path):
    names = set()
    for _ in range(8):
        with atomic_path(tmp_path / "a", force=True) as part:
            names.add(part.name)
    assert len(names) == 8


@pytest.mark.skipif(os.name == "nt", reason="no umask")
def test_files_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_folder_gets_its_name_when_it_is_complete(tmp_path):
    with atomic_folder(tmp_path / "a") as part:
        (part / "x").write_text("1")
    assert (tmp_path / "a" / "x").read_text() == "1"
    with pytest.raises(UsageError, match="exists already"), atomic_folder(tmp_path / "a"):
        pass
    with pytest.raises(ValueError), atomic_folder(tmp_path / "b"):
        raise ValueError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_refused_write_is_a_file_error(tmp_path):
    with pytest.raises(FileError, match="cannot write"):
        write_bytes(tmp_path / "missing" / "a", b"")
    with pytest.raises(FileError, match="shorter name"):
        check_target(tmp_path / ("x" * 300), False)
    with pytest.raises(FileError, match="is a folder"):
        check_target(tmp_path, True)
    with pytest.raises(FileError, match="not a folder"):
        check_target(tmp_path / "missing" / "a", False)
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="--force"):
        check_target(tmp_path / "a", False)
    check_target(tmp_path / "a", True)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/etc",
        "C:x",
        "a\0",
        "a\n",
        "nul",
        "COM1.txt",
        "x.",
        "x ",
        "x" * 256,
        None,
        7,
    ],
)
def test_names_that_lead_to_other_folders_are_refused(name):
    with pytest.raises(FileError, match="names"):
        check_name(name, "the manifest")


@pytest.mark.parametrize("name", ["a", "shot_0001", "年 1", "...a", "-rf", "com", "null.png"])
def test_plain_names_pass(name):
    assert check_name(name, "the manifest") == name


def test_a_colon_in_a_name_is_not_a_protocol():
    assert ffmpeg_url(Path("concat:a.mkv")) == "file:concat:a.mkv"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="named pipe"):
        check_source(tmp_path / "pipe", "a film")
    with pytest.raises(FileError, match="found nothing"):
        check_source(tmp_path / "none", "a film")
    with pytest.raises(FileError, match="a folder"):
        check_source(tmp_path, "a film")


def test_a_folder_is_locked_by_one_process(tmp_path):
    code = (
        "import sys; from pathlib import Path; from animeinterp.io.files import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])): print('held')"
    )
    other = [sys.executable, "-c", code, str(tmp_path)]
    with lock_folder(tmp_path):
        held = subprocess.run(other, capture_output=True, text=True)
        assert "in use by another run" in held.stderr
    assert subprocess.run(other, capture_output=True, text=True).stdout == "held\n"


def test_a_lock_removes_its_file_and_what_killed_runs_left(tmp_path):
    strangers = [tmp_path / ".mine.part", tmp_path / "0123456789abcdef.part"]
    for path in strangers:
        path.touch()
    (tmp_path / ".0123456789abcdef.part").mkdir()
    (tmp_path / ".0123456789abcdef.part" / "frame1.png").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    (tmp_path / ".fedcba9876543210.part").symlink_to(tmp_path / "elsewhere")
    with lock_folder(tmp_path):
        assert (tmp_path / "lock").exists()
    assert sorted(tmp_path.iterdir()) == sorted([*strangers, tmp_path / "elsewhere"])
    assert (tmp_path / "elsewhere" / "precious").exists()
