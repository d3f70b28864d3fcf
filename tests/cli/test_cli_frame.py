"""What every command handles: standard streams of all kinds, signals, and errors of the operating system."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from rich.table import Table

from animeinterp.cli import app, main, progress, terminal
from animeinterp.cli.failures import describe_failure
from animeinterp.cli.streams import printable, standard_streams
from animeinterp.errors import CacheWarning, FileError
from animeinterp.io.files import atomic_path

MODELS = [sys.executable, "-m", "animeinterp", "models"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and descriptors of POSIX systems")
SIGNALS = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def leave(*arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


@pytest.fixture
def command(monkeypatch):
    """Return a function that replaces all commands."""
    return lambda function: monkeypatch.setattr(app, "run", function)


# Streams


@posix
@pytest.mark.parametrize("closed", [[1], [1, 2], [0, 1, 2]])
def test_closed_streams(tmp_path, closed):
    def close():
        for descriptor in closed:
            os.close(descriptor)

    code = "import os, sys; from animeinterp.cli import main; main(['models'])"
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=close, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["models"], ["--version"], ["--help"]])
def test_full_stdout(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*MODELS[:3], *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write to standard output: No space left")
    assert done.stderr.count("\n") == 1


def test_a_failing_stdout_does_not_end_the_work(command, monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    worked = []

    def work(arguments):
        terminal.out.print("half")
        worked.append(1)
        return 0

    command(work)
    monkeypatch.setattr(sys, "stdout", Full())
    assert leave() == 1
    assert worked
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_reader_is_not_a_failure(command, monkeypatch, capsys):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    command(lambda arguments: print("x") or 0)
    monkeypatch.setattr(sys, "stdout", Broken())
    assert leave() == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "shift_jis"])
@pytest.mark.parametrize("command_name", ["models", "--help"])
def test_limited_encodings(encoding, command_name):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([*MODELS[:3], command_name], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "animeinterp" in done.stdout.decode(encoding) or "cel" in done.stdout.decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "2–3 … × → │─┐ 絵", b"2-3 ... x -> |-+ \\u7d75"),
        ("cp1252", "2–3 ü 絵", b"2\x963 \xfc \\u7d75"),
        ("utf-8", "絵 \udcff", "絵 \\udcff".encode()),
    ],
)
def test_characters_that_an_encoding_lacks_are_replaced(monkeypatch, encoding, text, written):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    with standard_streams():
        print(text, end="")
        sys.stdout.flush()
    assert raw.getvalue() == written


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\r", "\x08", "\x7f", "\u202e"])
def test_names_do_not_command_the_terminal(capsys, hostile):
    assert leave("tween", f"nope{hostile}.png", "b.png", "-n", "1") == 1
    message = capsys.readouterr().err
    assert hostile not in message or hostile == "\r"
    assert not any(ord(character) < 32 and character != "\n" for character in message)
    table = Table()
    table.add_column(f"head{hostile}")
    table.add_row(f"cell{hostile}")
    terminal.out.print(f"text{hostile}", markup=False)
    terminal.show_table(table)
    printed = capsys.readouterr().out
    assert "text" in printed
    assert "cell" in printed
    assert hostile not in printed
    assert printable(f"a{hostile}\t\n") != f"a{hostile}\t\n"


# Signals


@posix
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_cleans_up_and_prints_how_to_continue(command, tmp_path, monkeypatch, capsys, name, times):
    monkeypatch.delenv("ANIMEINTERP_DEBUG", raising=False)

    def work(arguments):
        with atomic_path(tmp_path / "out.png"):
            try:
                signal.raise_signal(getattr(signal, name))
            finally:
                for _ in range(times - 1):
                    signal.raise_signal(getattr(signal, name))
        return 0

    command(work)
    before = signal.getsignal(signal.SIGTERM)
    assert leave("dataset", "--x", "build") == 128 + getattr(signal, name)
    assert capsys.readouterr().err == "error: stopped; the same command continues where it stopped\n"
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


@posix
def test_a_stop_that_a_library_replaces_by_its_own_error(command, capsys):
    def work(arguments):
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise ImportError("initialization failed") from error

    command(work)
    assert leave("models") == 143
    assert "stopped" in capsys.readouterr().err


@posix
def test_a_stop_that_python_drops_is_sent_again(command, capsys):
    class Object:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def work(arguments):
        Object()
        time.sleep(20)
        return 0

    command(work)
    begin = time.monotonic()
    assert leave("tween") == 130
    assert time.monotonic() - begin < 15
    assert capsys.readouterr().err.startswith("error: stopped")


@posix
def test_ignored_signals_stay_ignored(command):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        command(lambda arguments: signal.raise_signal(signal.SIGHUP) or 0)
        assert leave("models") == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
@pytest.mark.parametrize("name", SIGNALS)
def test_a_stopped_program(tmp_path, name):
    code = f"""if True:
        import sys, time
        from pathlib import Path
        from animeinterp.cli import app, main
        from animeinterp.io.files import atomic_path
        def run(arguments):
            with atomic_path(Path({str(tmp_path / "out")!r})):
                print("ready", flush=True)
                time.sleep(60)
        app.run = run
        sys.argv = ["animeinterp", "tween"]
        main()
    """
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "ready\n"
    running.send_signal(getattr(signal, name))
    time.sleep(0.02)
    running.send_signal(getattr(signal, name))
    _, message = running.communicate(timeout=60)
    assert running.returncode == 128 + getattr(signal, name)
    assert message.startswith("error: stopped")
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_library_leaves_signals_alone():
    code = (
        "import signal as s; a = s.getsignal(s.SIGTERM); import animeinterp.cli.app; print(a == s.getsignal(s.SIGTERM))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


# Errors of the system


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied; check its permissions"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), "a: Is a directory; give a file"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), "choose a shorter name"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), "free some space"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.EIO, "Input/output error"), "a file: Input/output error; check"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), "a and b: Invalid"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "choose another folder"),
        (FileError("said already"), "said already"),
        (MemoryError(), "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 8 bytes"), "memory ran out"),
        (RecursionError("maximum recursion depth"), "nested too deeply"),
        (UnicodeEncodeError("utf-8", "a\udcff.mkv", 1, 2, "surrogates"), "a\\udcff.mkv"),
        (ImportError("libgomp.so: cannot open"), "install animeinterp again"),
    ],
)
def test_known_causes_are_one_line_messages(command, capsys, monkeypatch, error, message):
    monkeypatch.delenv("ANIMEINTERP_DEBUG", raising=False)

    def fail(arguments):
        raise error

    command(fail)
    assert leave("models") == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert "unexpected" not in printed


def test_an_unknown_error_asks_for_a_report():
    assert describe_failure(KeyError("x"), ["models"])[0].startswith("unexpected KeyError")


@posix
def test_a_removed_current_folder(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from animeinterp.cli import main; main(['models'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: the current folder does not exist any more; change to another one\n"


# Notes and progress


def test_the_cache_warning_is_a_note(monkeypatch, capsys):
    monkeypatch.delenv("ANIMEINTERP_DEBUG", raising=False)

    def warn(*_):
        warnings.warn("compiled code is kept elsewhere", CacheWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(app, "app", lambda **_: warn())
    assert leave("models") == 0
    assert capsys.readouterr().err == "note: compiled code is kept elsewhere\n"


def test_progress_without_a_terminal_is_printed_as_lines(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.05)

    def slow():
        for k in range(4):
            time.sleep(0.1)
            yield k

    assert list(progress.track_progress(slow(), "evaluating", 4)) == [0, 1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("evaluating: 0/4")
    assert any(line.startswith("evaluating: 2/4, ") and line.endswith(" left") for line in lines)


def test_lines_show_the_speed_of_this_run_alone(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    log = progress.LogLines("training", 40)
    log.update(20, "training, loss 0.5", restart=True)  # resumed at step 20
    now += 10
    log.update(25)
    assert log._line() == "training, loss 0.5: 25/40, 2.0 s each, 0:30 left"
    percentage = progress.LogLines("reading", 1.0, percent=True)
    now += 30
    percentage.update(0.25, "1/2 film")
    assert percentage._line() == "1/2 film: 25%, 1:30 left"


def test_durations_are_readable():
    assert [progress.format_duration(seconds) for seconds in (0.4, 61, 3723)] == ["0:00", "1:01", "1:02:03"]


@posix
def test_a_signal_while_a_finished_program_shuts_down(tmp_path):
    code = """if True:
        import os, signal, sys
        from animeinterp.cli import app, main
        class Last:
            def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
                kill(pid, number)
        app.run = lambda arguments: 0
        sys.argv = ["animeinterp", "tween"]
        last = Last()
        main()
    """
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
