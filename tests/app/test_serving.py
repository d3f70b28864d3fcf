"""How the page is served: what it refuses, what it removes, and what its absence costs."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from animeinterp.app import serving
from animeinterp.app.sentences import describe_error, warning
from animeinterp.errors import FileError, MissingExtraError
from app.conftest import MAX_UPLOAD


def fetch(request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def post(url: str, data: bytes) -> int:
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + data + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return fetch(urllib.request.Request(f"{url}/gradio_api/upload", body, headers))


def test_uploads_are_limited(url, uploads):
    assert post(url, b"x" * 1000) == 200
    assert post(url, b"x" * (MAX_UPLOAD + 1)) == 413
    assert sum(path.stat().st_size for path in uploads.rglob("a.png")) <= MAX_UPLOAD


def test_files_elsewhere_are_not_served(url, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for path in (secret, Path(__file__), "../" * 12 + "etc/passwd"):
        assert fetch(f"{url}/gradio_api/file={path}") in (403, 404)


def test_everything_uploaded_is_removed_at_the_end():
    with serving.private_folder() as folder:
        (folder / "upload.png").write_bytes(b"")
    assert not folder.exists()


def test_what_a_killed_page_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(serving.tempfile, "tempdir", str(tmp_path))
    killed = tmp_path / "animeinterp-page-killed"
    (killed / "uploads").mkdir(parents=True)
    with serving.private_folder() as running:
        for folder in (killed, running):
            os.utime(folder, (0, 0))
        with serving.private_folder() as other:
            assert not killed.exists()
            assert running.exists()
            assert other.exists()


def test_a_missing_extra_names_its_command(monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'animeinterp\[app\]'"):
        serving.check_extra()


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileError, match="is not a folder"):
        serving.resolve_folders([tmp_path / "missing"])


def test_help_needs_no_gradio():
    code = "import sys; sys.modules['gradio'] = None; from animeinterp.cli import main; main(['app', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Open a page" in done.stdout


def test_sentences_hide_where_uploads_are(tmp_path):
    error = FileError(f"{tmp_path / 'a<b.png'} is damaged; export it again")
    sentence = describe_error(error, [tmp_path / "a<b.png"])
    assert sentence == "A<b.png is damaged; export it again."
    assert "a&lt;b" in warning(sentence).lower()
