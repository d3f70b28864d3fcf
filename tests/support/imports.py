"""Which module of the package imports which, read from the sources."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import animeinterp

PACKAGE = Path(animeinterp.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def foreign_imports(path: Path) -> set[str]:
    """Return the top-level names of all modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def own_imports(path: Path) -> set[str]:
    """Return the files of the package that a file imports when it runs, anywhere in it, such as `net/cel/model.py`."""
    found: set[str] = set()

    def visit(parent: ast.AST) -> None:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "animeinterp":
                found.update(_file_of(f"{node.module}.{alias.name}") or _file_of(node.module) for alias in node.names)
            visit(node)

    visit(parsed(path))
    return found


def _file_of(module: str) -> str:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file in FILES:
            return name(file)
    return ""


def room(file: str) -> str:
    """Return the folder of a file; files beside folders, such as `net/adapters.py`, are rooms of their own."""
    folder = (PACKAGE / file).parent
    holds_folders = any(other.parent.parent == folder for other in FILES)
    return file if folder == PACKAGE or holds_folders else folder.relative_to(PACKAGE).as_posix()


def rooms() -> dict[str, set[str]]:
    """Return for each room the rooms that it imports."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        own = room(name(path))
        graph.setdefault(own, set()).update({room(file) for file in own_imports(path)} - {own})
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return what is left when rooms that import nothing, or only removed rooms, are removed one by one."""
    rest = {key: set(values) for key, values in graph.items()}
    while free := [key for key, values in rest.items() if not values & rest.keys()]:
        for key in free:
            del rest[key]
    return sorted(rest)
