"""Small files from untrusted sources: every error is one line, and nothing is read beyond a limit."""

from __future__ import annotations

import math
import os

import pytest

from animeinterp.errors import FileError
from animeinterp.io.reading import finite_number, read_json, read_text, read_toml


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"a": ' * 50_000,
        "1" * 5000,
        "NaN",
        "[-Infinity]",
        '"\\ud800"',
        '{"\\udc00": 1}',
        "\x00",
        '{"a": 1} {"b": 2}',
    ],
)
def test_invalid_json_is_a_one_line_error(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileError, match=r"a\.json is damaged \(.+\); expected a list") as caught:
        read_json(tmp_path / "a.json", "a list")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_pair_of_surrogates_is_one_character(tmp_path):
    (tmp_path / "a.json").write_text('"\\ud83d\\ude00"')
    assert read_json(tmp_path / "a.json", "a text") == "\U0001f600"


@pytest.mark.parametrize("text", ["a = ", "a = " + "[" * 5000, "a = " + "1" * 5000, "a = 1\na = 2", 'a = "\\ud800"'])
def test_invalid_toml_is_a_one_line_error(text, tmp_path):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(FileError, match=r"a\.toml is not TOML \(.+\); expected a run"):
        read_toml(tmp_path / "a.toml", "a run")


def test_large_odd_and_missing_files_are_refused_before_they_are_read(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(FileError, match="larger than 1 MB; expected a list"):
        read_text(tmp_path / "huge", "a list")
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(FileError, match="is not UTF-8 text"):
        read_text(tmp_path / "latin", "a list")
    for odd, message in ((tmp_path, "a folder"), (tmp_path / "none", "found nothing"), (tmp_path / "a\0", "null")):
        with pytest.raises(FileError, match=message):
            read_text(odd, "a list")
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "bom", "a list") == "a"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="named pipe"):
        read_json(tmp_path / "pipe", "a list")


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 101, 10**400, -(10**400), True, "1", None, [1]])
def test_numbers_outside_their_range_are_refused(value):
    with pytest.raises(ValueError, match="size is not"):
        finite_number(value, "size", 0, 100)
    assert finite_number(7, "size", 0, 100) == 7.0
