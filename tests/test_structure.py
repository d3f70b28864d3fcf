"""Borders between the rooms of the package, limits on size, and the spelling of everything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import animeinterp
from support.imports import FILES, PACKAGE, circle, foreign_imports, name, own_imports, parsed, room, rooms

ROOT = Path(__file__).parents[1]
MAX_LINES, MAX_FUNCTION_LINES, MAX_ARGUMENTS = 400, 60, 8
# What each part may import of the package besides itself.
FLOORS = {
    "errors.py": set(),
    "config.py": set(),
    "frame.py": {"errors.py"},
    "io": {"errors.py", "frame.py"},
    "runtime": {"errors.py", "io"},
    "flow.py": {"frame.py", "runtime"},
    "sgm": {"config.py", "errors.py", "flow.py", "frame.py", "runtime"},
    "net/ops": {"config.py", "errors.py", "runtime"},
    "net/cel": {"config.py", "errors.py", "net/flow_pair.py", "net/ops", "runtime"},
    "net/paper": {"config.py", "errors.py", "net/ops", "runtime"},
}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_the_files_are_found():
    files = {name(path) for path in FILES}
    assert {"cli/__init__.py", "sgm/matching.py", "net/paper/rfr.py", "interpolator.py"} <= files
    assert room("net/cel/model.py") == "net/cel"
    assert room("net/adapters.py") == "net/adapters.py"
    assert "net/cel/model.py" in own_imports(PACKAGE / "net" / "adapters.py")


def test_no_circle_between_rooms():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    assert circle(rooms()) == []


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_rests_only_on_those_below(floor):
    assert rooms()[floor] <= FLOORS[floor]


@pytest.mark.parametrize(("folder", "foreign"), [("sgm", "torch"), ("net", "cv2")])
def test_numpy_and_torch_halves_do_not_mix(folder, foreign):
    assert not [name(path) for path in (PACKAGE / folder).rglob("*.py") if foreign in foreign_imports(path)]


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("metrics", ("data", "evaluation", "training", "video")),
        ("video", ("data", "evaluation", "training")),
        ("keys", ("data", "evaluation", "training", "video")),
        ("evaluation", ("training", "video")),
        ("training", ("evaluation", "video")),
        ("net", ("weights", "data", "video", "interpolator.py")),
    ],
)
def test_wings_do_not_know_each_other(folder, strangers):
    imported = {file for path in (PACKAGE / folder).rglob("*.py") for file in own_imports(path)}
    assert not [file for file in imported if file.startswith(strangers)]


def test_only_the_command_line_prints():
    printing = {
        name(path)
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing <= {"cli/__init__.py"}
    outside = [path for path in FILES if path.parent.name != "cli"]
    assert not [name(path) for path in outside if {"typer", "rich"} & foreign_imports(path)]


def test_only_the_page_needs_gradio():
    assert {path.parent.name for path in FILES if "gradio" in foreign_imports(path)} == {"app"}


def test_files_are_short():
    assert not [name(path) for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES]


def test_functions_are_short():
    lengths = {f"{name(path)}:{f.name}": f.end_lineno - f.lineno + 1 for path in FILES for f in functions(path)}
    assert not {key: lines for key, lines in lengths.items() if lines > MAX_FUNCTION_LINES}


def test_functions_take_few_arguments():
    """Exempt are the command line, where arguments are its options, and compiled kernels."""
    many = []
    for path in (path for path in FILES if path.parent.name != "cli"):
        for function in functions(path):
            decorators = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            count = len([argument for argument in arguments if argument.arg not in ("self", "cls")])
            if count > MAX_ARGUMENTS and "cached_njit" not in decorators:
                many.append(f"{name(path)}:{function.name} takes {count}")
    assert not many


def test_spelling_is_american():
    """Field names of the subtitle format ASS keep their own."""
    british = re.compile(
        r"(?<!primary)(?<!secondary)(?<!outline)(?<!back)colour|(?<!\w)grey|centre|neighbour|behaviour|licence|analys(e|ed|ing)\b|normalis|optimis"
    )
    texts = [*FILES, *PACKAGE.rglob("*.html"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    found = {path: british.findall(path.read_text(encoding="utf-8").lower()) for path in texts}
    assert not {str(path.relative_to(ROOT)) for path, words in found.items() if words}


@pytest.mark.parametrize(
    "code",
    [
        "import animeinterp",
        "import animeinterp; animeinterp.Options()",
        "import animeinterp.cli",
        "import animeinterp.cli.app",
    ],
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
    assert not loaded & {"torch", "numba", "cv2", "scipy", "pydantic", "gradio"}


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
