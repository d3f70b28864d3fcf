"""Check the documents: commands and imports exist, configs can be read, the API pages list every public name."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

import animeinterp
from animeinterp.cli.app import app
from animeinterp.training.config import read_config

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
WITH_COMMANDS = {
    "README.md",
    "animator.md",
    "cluster.md",
    "page.md",
    "video.md",
    "encoding.md",
    "researcher.md",
    "training.md",
    "datasets.md",
    "evaluation.md",
}
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def commands(text: str) -> list[list[str]]:
    """Split each line of a fenced block that calls the program into words, without comments."""
    calls = []
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("animeinterp "):
                plain = re.sub(r"\[.*?\]", "", line)  # optional parts of a usage line
                calls.append(shlex.split(plain, comments=True)[1:])
    return calls


def imported_names(text: str) -> list[tuple[str, str]]:
    """Parse the Python blocks of a document; return what they import from this package as (module, name)."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    nodes = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    return [
        (node.module, alias.name) for node in nodes if node.module.startswith("animeinterp") for alias in node.names
    ]


def unknown(words: list[str]) -> list[str]:
    """Return the commands and options of a call that do not exist."""
    command = typer.main.get_command(app)
    words = list(words)
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            return [words[0]]
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [option for option in options if option not in known | {"-h", "--help"}]


def test_calls_that_do_not_exist_are_found():
    text = "```\nanimeinterp tweeen A B\nanimeinterp tween A B --att 0.5  # a note with --word\n```"
    assert [unknown(words) for words in commands(text)] == [["tweeen"], ["--att"]]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_a_document_exists(path):
    calls = commands(path.read_text(encoding="utf-8"))
    # docs/api/video.md holds no commands.
    assert calls or path.name not in WITH_COMMANDS or path.parent.name == "api"
    assert [(words, unknown(words)) for words in calls if unknown(words)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_import_of_a_document_exists(path):
    names = imported_names(path.read_text(encoding="utf-8"))
    assert [name for module, name in names if not hasattr(importlib.import_module(module), name)] == []


def test_the_api_pages_list_every_public_name():
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    listed = set(re.findall(r"^::: animeinterp[\w.]*\.(\w+)$", pages, re.MULTILINE))
    errors = {name for name in animeinterp.__all__ if name.endswith(("Error", "Warning"))}
    assert "errors" in listed  # the whole module
    assert set(animeinterp.__all__) - listed - errors == set()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_can_be_read_and_is_described(path):
    run = read_config(path)
    assert run.steps > 0
    assert path.name in (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_initial_weights_of_configs_come_with_the_package():
    begins = [read_config(path).init_from for path in CONFIGS]
    assert [path for path in begins if path and not Path(path).is_file()] == []
