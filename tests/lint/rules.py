"""The house's own rules about source files. Each finds its offenders in one parsed file."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_LINES = 500

COMMITTER = "src/sitin/kit/database.py"

LONG_FILES: dict[str, str] = {}
"""Files that may be longer than ``MOST_LINES``, and why."""

EDGE = re.compile(r"#.*\bedge\b")
"""The comment that marks a broad ``except``, on its line or the next: why nothing may pass it."""


@dataclass(frozen=True, slots=True)
class Offence:
    """A line that breaks a rule."""

    path: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.sentence}"


def check(path: str, source: str) -> Iterator[Offence]:
    """Every offence in a file, by its path relative to the repository."""
    if path.endswith(("_pb2.py", "_pb2.pyi")):
        return
    tree = ast.parse(source)
    lines = source.splitlines()
    yield from _commits(path, tree)
    yield from _broad_excepts(path, tree, lines)
    yield from _long_files(path, lines)
    yield from _silent_modules(path, tree)


def _commits(path: str, tree: ast.AST) -> Iterator[Offence]:
    if path == COMMITTER:
        return
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "commit"
        ):
            yield Offence(path, node.lineno, "only kit/database.py ends a transaction")


def _broad_excepts(path: str, tree: ast.AST, lines: list[str]) -> Iterator[Offence]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
            reraises = any(
                isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node)
            )
            marked = any(EDGE.search(line) for line in lines[node.lineno - 1 : node.lineno + 1])
            if not reraises and not marked:
                yield Offence(
                    path,
                    node.lineno,
                    "catch what you expect; at a task's outermost edge mark it '# edge: why'",
                )


def _is_broad(kind: ast.expr | None) -> bool:
    match kind:
        case None:
            return True
        case ast.Name(id=name):
            return name in ("Exception", "BaseException")
        case ast.Tuple(elts=kinds):
            return any(_is_broad(one) for one in kinds)
        case _:
            return False


def _long_files(path: str, lines: list[str]) -> Iterator[Offence]:
    if len(lines) > MOST_LINES and path not in LONG_FILES:
        yield Offence(
            path,
            len(lines),
            f"more than {MOST_LINES} lines; split it by meaning, or name the reason",
        )


def _silent_modules(path: str, tree: ast.Module) -> Iterator[Offence]:
    if not ast.get_docstring(tree):
        yield Offence(path, 1, "the first line says what lives here and who may use it")


def source_files(root: Path) -> Iterator[tuple[str, str]]:
    """Path and text of every source file of the package."""
    for path in sorted((root / "src").rglob("*.py")):
        yield str(path.relative_to(root)), path.read_text()
