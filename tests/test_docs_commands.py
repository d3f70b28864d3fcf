"""What the documents tell users to type exists, and every config that they name can be read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from animeinterp.cli.app import app
from animeinterp.training.config import read_config

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def commands(text: str) -> list[list[str]]:
    """The words of each line of a fenced block that calls the program; comments left out."""
    found = []
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("animeinterp "):
                plain = re.sub(r"\[.*?\]", "", line)  # what a usage line says may be left out
                found.append(shlex.split(plain, comments=True)[1:])
    return found


def unknown(words: list[str]) -> list[str]:
    """The verbs and options of a call that do not exist."""
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
    assert calls or path.name not in ("README.md", "training.md", "video.md", "datasets.md", "evaluation.md")
    assert [(words, unknown(words)) for words in calls if unknown(words)] == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_can_be_read_and_is_described(path):
    run = read_config(path)
    assert run.steps > 0
    assert path.name in (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_what_configs_begin_with_comes_with_the_package():
    begins = [read_config(path).init_from for path in CONFIGS]
    assert [path for path in begins if path and not Path(path).is_file()] == []
