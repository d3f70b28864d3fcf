"""The source holds none of the known patterns that fail on Linux, macOS or Windows.

Each pattern has a reason, samples that it must find and samples that it must not find.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import animeinterp

ROOT = Path(animeinterp.__file__).parents[1]
SOURCES = [path for folder in ("animeinterp", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILES = "animeinterp/io/files.py"  # the only module that renames and flushes files
POSIX_MODULES = {"resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "crypt"}
ONE_SYSTEM = {
    *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getgroups", "uname", "killpg", "setsid", "getpgid"),
    *("sched_getaffinity", "mkfifo", "mknod", "chown", "lchown", "statvfs", "getloadavg", "sysconf", "nice"),
    *("O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_BINARY", "startfile", "setrlimit"),
    *("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGQUIT", "SIGBREAK"),
    *("alarm", "setitimer", "pthread_kill", "pthread_sigmask", "sigwait", "pause"),
}
GUARDS = ("hasattr(", "getattr(", "os.name", "sys.platform")


@dataclass(frozen=True)
class Pattern:
    """reason: what fails where. find: lines of a module. found, passed: samples. allowed: files that may."""

    reason: str
    find: Callable[[ast.Module, str], Iterator[int]]
    found: tuple[str, ...]
    passed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the name of what is called: `open` for `open(…)` and `path.open(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            yield name, node


def dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def keywords(call: ast.Call) -> set[str]:
    return {word.arg or "**" for word in call.keywords}


def constants(call: ast.Call) -> list[object]:
    values = [*call.args, *(word.value for word in call.keywords)]
    return [value.value for value in values if isinstance(value, ast.Constant)]


def texts_without_encoding(tree, source):
    for name, call in calls(tree):
        owner = dotted(call.func).split(".")[0]
        if name == "open" and owner not in ("av", "Image", "os", "self", "archive", "building"):
            modes = [value for value in constants(call) if isinstance(value, str) and re.fullmatch("[rwxab+t]+", value)]
            binary = any("b" in mode for mode in modes)
            is_file = isinstance(call.func, ast.Name) or modes or not call.args
            found = is_file and not binary and not keywords(call) & {"encoding", "**"}
        elif name in ("read_text", "write_text") and dotted(call.func) != name:
            found = not keywords(call) & {"encoding", "**"} and "utf-8" not in constants(call)
        else:
            found = keywords(call) & {"text", "universal_newlines"} and owner == "subprocess"
        if found:
            yield call.lineno


def flushes(tree, source):
    """Calls in functions that open nothing for writing."""
    writing: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            modes = [value for name, call in calls(node) if name == "open" for value in constants(call)]
            if {"rb+", "r+b", "wb", "xb", "ab"} & set(map(str, modes)):
                writing |= {id(child) for child in ast.walk(node)}
    for name, call in calls(tree):
        if name in ("fsync", "fdatasync") and id(call) not in writing:
            yield call.lineno


def renames(tree, source):
    return (call.lineno for name, call in calls(tree) if name in ("rename", "renames"))


def posix_imports(tree, source):
    """Imports that are not within `try`."""
    tried = {id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) for node in ast.walk(block)}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if id(node) not in tried and POSIX_MODULES & {name.split(".")[0] for name in names}:
            yield node.lineno


def one_system_names(tree, source):
    """Attributes of os and signal outside of functions that ask which system it is."""
    guarded: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(g in (ast.get_source_segment(source, node) or "") for g in GUARDS):
            guarded |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        owned = isinstance(node, ast.Attribute) and dotted(node.value) in ("os", "signal", "resource")
        if owned and node.attr in ONE_SYSTEM and id(node) not in guarded:
            yield node.lineno


def default_start_methods(tree, source):
    for name, call in calls(tree):
        fork = name in ("get_context", "set_start_method") and "spawn" not in constants(call)
        pool = name == "ProcessPoolExecutor" and len(call.args) < 2 and "mp_context" not in keywords(call)
        if fork or pool or dotted(call.func) in ("multiprocessing.Pool", "multiprocessing.Process"):
            yield call.lineno


def paths_as_texts(tree, source):
    for name, call in calls(tree):
        if name in ("split", "rsplit", "endswith", "partition", "rpartition") and constants(call)[:1] in (
            ["/"],
            ["\\"],
        ):
            yield call.lineno


def system_places(tree, source):
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and re.match(r"/(dev/null|tmp|var/tmp)\b|[A-Za-z]:\\", value):
            yield node.lineno


def temporary_files(tree, source):
    return (call.lineno for name, call in calls(tree) if name in ("NamedTemporaryFile", "mktemp"))


def clocks(tree, source):
    for name, call in calls(tree):
        if name == "strftime" and any(re.search("%[-#_0^eklPsTDRFhnrtzZ]", str(value)) for value in constants(call)):
            yield call.lineno


def links(tree, source):
    return (call.lineno for name, call in calls(tree) if name in ("symlink", "symlink_to"))


def shells(tree, source):
    for _, call in calls(tree):
        shell = any(word.arg == "shell" and getattr(word.value, "value", None) is True for word in call.keywords)
        if shell or dotted(call.func) in ("os.system", "os.popen"):
            yield call.lineno


def hooks_before_start(tree, source):
    return (call.lineno for name, call in calls(tree) if keywords(call) & {"preexec_fn", "pass_fds"})


PATTERNS = {
    "text without an encoding": Pattern(
        "Windows reads and writes texts in its code page, not in UTF-8",
        texts_without_encoding,
        (
            "open('a')",
            "open('a', 'w')",
            "path.open()",
            "path.open('w', newline='')",
            "path.read_text()",
            "path.write_text(text)",
            "subprocess.run(command, text=True)",
        ),
        (
            "open('a', 'rb')",
            "path.open('xb')",
            "path.open('rb+')",
            "path.read_text(encoding='utf-8')",
            "av.open(path)",
            "Image.open(file)",
            "write_text(path, text)",
            "subprocess.run(command, encoding='utf-8')",
        ),
    ),
    "fsync": Pattern(
        "Windows refuses to flush a file that is open for reading only; io/files.py does it right",
        flushes,
        ("os.fsync(file.fileno())", "def f():\n    with part.open('rb') as file:\n        os.fsync(file.fileno())"),
        ("def f():\n    with part.open('rb+') as file:\n        os.fsync(file.fileno())",),
        allowed=(FILES,),  # folders of POSIX systems too, where errors are dropped
    ),
    "rename": Pattern(
        "on Windows it raises where the target exists, on POSIX it overwrites; replace() or io/files.py",
        renames,
        ("os.rename(a, b)", "part.rename(target)"),
        ("part.replace(target)",),
        # A folder, and names that have just been seen to be free.
        allowed=(FILES, "animeinterp/video/sink/segment_store.py"),
    ),
    "modules of POSIX systems": Pattern(
        "Windows has none of them",
        posix_imports,
        ("import resource", "from fcntl import flock", "def f():\n    import pwd"),
        ("try:\n    import resource\nexcept ImportError:\n    resource = None", "import os"),
    ),
    "functions and signals of one system": Pattern(
        "AttributeError elsewhere; ask for them by hasattr or os.name in the same function",
        one_system_names,
        (
            "os.getuid()",
            "os.killpg(1, signal.SIGKILL)",
            "len(os.sched_getaffinity(0))",
            "signal.SIGHUP",
            "os.O_NOFOLLOW",
        ),
        ("def f():\n    if hasattr(os, 'getuid'):\n        return os.getuid()", "signal.SIGINT", "os.getpid()"),
    ),
    "start of processes": Pattern(
        "Linux may fork, macOS and Windows spawn; threads of OpenCV and torch do not outlive a fork",
        default_start_methods,
        ("ProcessPoolExecutor(4)", "multiprocessing.get_context('fork')", "multiprocessing.Pool()", "get_context()"),
        ("ProcessPoolExecutor(4, multiprocessing.get_context('spawn'))", "ProcessPoolExecutor(4, mp_context=context)"),
    ),
    "paths as texts": Pattern(
        "Windows writes paths with backslashes; pathlib, or both os.sep and /",
        paths_as_texts,
        ("name.endswith('/')", "str(path).split('/')", "text.rpartition('/')"),
        ("name.endswith(('/', os.sep))", "path.parts", "text.split(',')"),
    ),
    "places of one system": Pattern(
        "os.devnull and tempfile know where they are",
        system_places,
        ("open('/dev/null', 'w')", "Path('/tmp/x')", "Path('C:\\\\Temp')"),
        ("os.devnull", "tempfile.gettempdir()", "'a/tmp'"),
    ),
    "NamedTemporaryFile": Pattern(
        "Windows cannot open it a second time by its name; io/files.py",
        temporary_files,
        ("tempfile.NamedTemporaryFile()", "tempfile.mktemp()"),
        ("tempfile.TemporaryDirectory()", "tempfile.mkdtemp()"),
    ),
    "strftime": Pattern(
        "codes beyond those of C89 differ or crash",
        clocks,
        ("time.strftime('%-d')", "now.strftime('%s')", "now.strftime('%F %T')"),
        ("now.strftime('%Y-%m-%d %H:%M')",),
    ),
    "links": Pattern(
        "Windows makes symbolic links for administrators only",
        links,
        ("os.symlink(a, b)", "path.symlink_to(b)"),
        ("os.link(a, b)", "path.is_symlink()"),
    ),
    "shells": Pattern(
        "each system has another shell, and names may command it",
        shells,
        ("subprocess.run('x', shell=True)", "os.system('x')"),
        ("subprocess.run(['x'])",),
    ),
    "preexec_fn": Pattern(
        "Windows has no fork in whose child it could run",
        hooks_before_start,
        ("subprocess.run(a, preexec_fn=f)",),
        ("subprocess.run(a)",),
    ),
}


def lines(pattern: Pattern, source: str) -> list[int]:
    return list(pattern.find(ast.parse(source), source))


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_find_their_samples(name):
    pattern = PATTERNS[name]
    assert pattern.reason
    assert [sample for sample in pattern.found if not lines(pattern, sample)] == []
    assert [sample for sample in pattern.passed if lines(pattern, sample)] == []


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_in_the_source(name):
    pattern = PATTERNS[name]
    hits = []
    for path in SOURCES:
        label = path.relative_to(ROOT).as_posix()
        if label not in pattern.allowed:
            hits += [f"{label}:{line}" for line in lines(pattern, path.read_text(encoding="utf-8"))]
    assert hits == [], pattern.reason


def test_tests_can_be_collected_everywhere():
    pattern = PATTERNS["modules of POSIX systems"]
    assert [path.name for path in TESTS if lines(pattern, path.read_text(encoding="utf-8"))] == []


def shell_lines(text: str) -> Iterator[str]:
    """Yield the lines of code blocks for a shell, but of scripts that name theirs."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language in ("sh", "bash", "shell", "console", "powershell", "") and not block.startswith("#!"):
            yield from block.splitlines()


def one_shell(line: str) -> bool:
    """Return whether PowerShell 5 or a POSIX shell does not understand a line."""
    return bool(re.search(r" && | \|\| |\\$|`$|^\s*export |\$\(|<\(", line))


@pytest.mark.parametrize("line", ["a && b", "a || b", "a \\", "export A=1", "x $(y)"])
def test_lines_of_one_shell_are_found(line):
    assert [one_shell(found) for found in shell_lines(f"text\n```\n{line}\n```\n")] == [True]
    assert not one_shell("animeinterp tween A.png B.png -o mid.png  # and a remark")
    assert list(shell_lines(f"```json\n{{}}\n```\ntext {line}\n```bash\n#!/bin/bash\n{line}\n```\n")) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_commands_of_the_documents_work_in_every_shell(path):
    assert [line for line in shell_lines(path.read_text(encoding="utf-8")) if one_shell(line)] == []


def test_file_names_are_valid_on_every_system():
    names = [
        path.relative_to(ROOT).as_posix()
        for folder in ("animeinterp", "benchmarks", "configs", "docs", "tests")
        for path in (ROOT / folder).rglob("*")
        if "__pycache__" not in path.parts
    ]
    assert len(names) > 100
    assert len({name.casefold() for name in names}) == len(names)
    assert [name for name in names if impossible(name)] == []
    assert all(map(impossible, ("a/con.txt", "a/AUX", "b:c", "a/b. ", "a?.md", "x" * 200)))


def impossible(name: str) -> bool:
    """Return whether Windows refuses a name, or a clone in a usual folder makes it too long (260 characters)."""
    reserved = re.search(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.[^/]*)?(/|$)", name, re.IGNORECASE)
    return bool(reserved or re.search(r'[\\:*?"<>|]|[. ](/|$)', name)) or len(name) > 150
