"""The borders of the house (docs: which part may know of which) and its limits on size."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import animeinterp

PACKAGE = Path(animeinterp.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES, MAX_FUNCTION_LINES = 400, 60


def imported(path: Path) -> set[str]:
    """Top-level names of all modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def own_imports(path: Path) -> set[str]:
    """Modules of this package that a file imports while the program runs, as `animeinterp.x`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("animeinterp"):
            names.add(".".join(node.module.split(".")[:2]))
    return names


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_the_files_are_found():
    assert {"cli/__init__.py", "sgm/matching.py", "net/paper/rfr.py"} <= {name(path) for path in FILES}


@pytest.mark.parametrize(("folder", "foreign"), [("sgm", "torch"), ("net", "cv2")])
def test_halves_do_not_mix(folder, foreign):
    assert not [name(path) for path in (PACKAGE / folder).rglob("*.py") if foreign in imported(path)]


@pytest.mark.parametrize("folder", ["sgm", "net"])
def test_the_core_knows_nothing_of_what_surrounds_it(folder):
    allowed = {
        "animeinterp.errors",
        "animeinterp.runtime",
        "animeinterp.flow",
        "animeinterp.config",
        f"animeinterp.{folder}",
    }
    allowed |= {"animeinterp.weights"} if folder == "net" else {"animeinterp.flow", "animeinterp.frame"}
    strangers = {name(path): own_imports(path) - allowed for path in (PACKAGE / folder).rglob("*.py")}
    assert not {path: names for path, names in strangers.items() if names}


def test_metrics_depend_on_no_data_training_or_evaluation():
    foreign = {"animeinterp.data", "animeinterp.training", "animeinterp.evaluation"}
    assert not [name(path) for path in (PACKAGE / "metrics").rglob("*.py") if own_imports(path) & foreign]


def test_only_the_command_line_prints():
    printing = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                printing.add(name(path))
    assert printing <= {"cli/__init__.py"}
    strangers = [path for path in FILES if path.parent.name != "cli" and {"typer", "rich"} & imported(path)]
    assert not [name(path) for path in strangers]


def test_files_are_short():
    assert not [name(path) for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES]


def test_functions_are_short():
    long = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name(path)}:{node.name} has {lines} lines")
    assert not long


@pytest.mark.parametrize(
    "code",
    ["import animeinterp", "import animeinterp; animeinterp.Options()", "import animeinterp.cli"],
)
def test_import_is_light(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "animeinterp" in loaded
    assert not loaded & {"torch", "numba", "cv2", "scipy", "pydantic"}


@pytest.mark.parametrize("module", ["data.atd12k", "evaluation.evaluate", "training.config"])
def test_what_needs_no_torch_loads_none(module):
    code = f"import animeinterp.{module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()


def test_every_public_name_has_a_home():
    for public in animeinterp.__all__:
        assert getattr(animeinterp, public) is not None
    with pytest.raises(AttributeError, match="it has"):
        _ = animeinterp.nonsense
