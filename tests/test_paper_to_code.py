"""docs/paper-to-code.md: its names exist, its numbers hold, every citation has an entry, both languages agree."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "animeinterp"
PAGES = [ROOT / "docs" / name for name in ("paper-to-code.md", "paper-to-code.zh.md")]
ENGLISH, CHINESE = PAGES
SOURCES = sorted(path for folder in ("animeinterp", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))

NUMBER = r"[0-9][0-9.]*(?:e-?[0-9]+)?"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Not the short form: "Teed and Deng 2020", "Xu et al., CVPR 2022", "Wang et al. (2004)".
CITATION = re.compile(r"[A-Z][\w-]+(?: et al\.| (?:&|and) [A-Z][\w-]+),? \(?(?:[A-Z]{3,} )?(?:19|20)\d\d")
ENTRY = re.compile(r"^- \*\*(.+?)\*\* – .+\. .+(?:19|20)\d\d\.$", re.MULTILINE)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code_names(text: str) -> list[str]:
    """What is in backticks outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def sections(text: str) -> list[tuple[str, str]]:
    """Level and number of each heading, such as `### 7`, with the text up to the next heading."""
    fences = FENCE.findall(text)
    parts = re.split(r"^(#+ .*)$", FENCE.sub("\0", text), flags=re.MULTILINE)
    result = []
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        while "\0" in body:
            body = body.replace("\0", fences.pop(0), 1)
        level, number = re.match(r"(#+) (\d*)", heading).groups()
        result.append((f"{level} {number}".strip(), heading + body))
    return result


@cache
def defined_names(path: Path) -> dict[str, ast.expr | None]:
    """Names that a file defines, members as `Class.member`, with their value where they have one."""
    names: dict[str, ast.expr | None] = {}
    add_names(ast.parse(read(path)).body, "", names)
    return names


def add_names(body: list[ast.stmt], prefix: str, names: dict[str, ast.expr | None]) -> None:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[prefix + node.name] = None
        if isinstance(node, ast.ClassDef):
            add_names(node.body, f"{prefix}{node.name}.", names)
        if isinstance(node, ast.FunctionDef) and prefix:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and getattr(inner.value, "id", "") == "self":
                    names.setdefault(prefix + inner.attr, None)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                    names[prefix + ast.unparse(name)] = node.value


@cache
def package_names() -> dict[str, list[ast.expr | None]]:
    names: dict[str, list[ast.expr | None]] = {}
    for path in PACKAGE.rglob("*.py"):
        for name, value in defined_names(path).items():
            names.setdefault(name, []).append(value)
    return names


@cache
def words() -> frozenset[str]:
    """Strings in config.py (presets and choices), `auto` and such."""
    tree = ast.parse(read(PACKAGE / "config.py"))
    return frozenset(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def find_file(path: str) -> Path | None:
    return next((base / path for base in (PACKAGE, ROOT) if (base / path).exists()), None)


def is_known(name: str) -> bool:
    """Whether a name exists: `file.py`, `file.py: name, Class.member`, `Class.member`, `name`, or a choice."""
    path, _, members = name.partition(": ")
    if "/" in path or path.endswith(".py"):
        file = find_file(path)
        return file is not None and all(member in defined_names(file) for member in members.split(", ") if member)
    return name in package_names() or name in words() or re.fullmatch(r"\([\w, ]+\)", name) is not None


def test_names_that_do_not_exist_are_found():
    known = [
        "frame.py",
        "frame.py: from_planes, Mode.channels",
        "PaperConfig.splat",
        "auto",
        "(2, H, W)",
        "tests/golden/sgm",
    ]
    unknown = ["frames.py", "frame.py: from_planes, to_nothing", "frame.py: Mode.sound", "PaperConfig.split", "autp"]
    assert [name for name in known + unknown if not is_known(name)] == unknown


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_name_on_the_page_exists(path):
    names = code_names(read(path))
    assert len(names) > 200
    assert not [name for name in names if not is_known(name)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_numbers_on_the_page_are_those_of_the_code(path):
    stated = re.findall(rf"`(?:[\w/]+\.py: )?([\w.]+)` = ({NUMBER})", read(path))
    assert len(stated) > 40
    wrong = []
    for name, number in stated:
        values = [ast.literal_eval(value) for value in package_names()[name] if isinstance(value, ast.Constant)]
        if float(number.rstrip(".")) not in values:
            wrong.append((name, number, values))
    assert not wrong


def test_the_pages_have_the_same_headings_and_names():
    english, chinese = (sections(read(path)) for path in PAGES)
    assert [heading for heading, _ in english] == [heading for heading, _ in chinese]
    for (_, text), (_, translated) in zip(english, chinese, strict=True):
        title = text.splitlines()[0]
        assert set(code_names(text)) == set(code_names(translated)), title
        assert re.findall(r"[\w/]+\.py", "".join(FENCE.findall(text))) == re.findall(
            r"[\w/]+\.py", "".join(FENCE.findall(translated))
        ), title


def test_the_pages_have_the_same_references():
    assert ENTRY.findall(read(ENGLISH)) == ENTRY.findall(read(CHINESE))


def prose(path: Path) -> str:
    """Docstrings, other bare strings and comments of a Python file, or a document, without line breaks."""
    text = read(path)
    if path.suffix == ".py":
        strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
        parts = [node.value for node in strings if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        text = "\n".join([*parts, *re.findall(r"# (.*)", text)])
    return re.sub(r"\s+", " ", text)


@cache
def texts() -> dict[Path, str]:
    return {path: prose(path) for path in (*SOURCES, *DOCUMENTS) if path != Path(__file__).resolve()}


def test_citations_are_found():
    text = "as in Teed & Deng 2020, by Xu et al., CVPR 2022, Niklaus and Liu 2020 and Wang et al. (2004)"
    assert CITATION.findall(text) == [
        "Teed & Deng 2020", "Xu et al., CVPR 2022", "Niklaus and Liu 2020", "Wang et al. (2004",
    ]  # fmt: skip


def test_every_citation_has_an_entry_and_every_entry_is_cited():
    entries = ENTRY.findall(read(ENGLISH))
    assert entries == sorted(set(entries), key=str.casefold)
    unknown = {
        f"{path.relative_to(ROOT)}: {citation}"
        for path, text in texts().items()
        for citation in CITATION.findall(text)
        if citation not in entries
    }
    assert not unknown
    everything = " ".join(text for path, text in texts().items() if path != CHINESE)
    assert not [entry for entry in entries if everything.count(entry) < 2], "an entry that nothing cites"


def test_no_reference_without_a_list():
    pattern = re.compile(r"(?<![\w\])\"'])\[\d{1,2}\](?!\()|system\s§")
    assert not {path.relative_to(ROOT): pattern.findall(text) for path, text in texts().items() if pattern.search(text)}
