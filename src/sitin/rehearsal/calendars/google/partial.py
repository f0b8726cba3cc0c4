"""Google's ``fields`` parameter: only a part of an answer. For the Google rehearsal.

``kind,items(id,start/dateTime)`` is read as a tree of names; ``*`` stands for all.
"""

import re
from typing import Any

from sitin.rehearsal.calendars.google.errors import invalid

Tree = dict[str, "Tree"]
"""name → what of it; an empty tree stands for all of it."""

_WORD = re.compile(r"[A-Za-z0-9_.*-]+")


def read_fields(text: str) -> Tree:
    """The tree of a parameter. Raises ``ApiError``."""
    tree, end = _read(text, 0)
    if end != len(text):
        raise _refused(text)
    return tree


def select(value: Any, tree: Tree) -> Any:
    """Only what the tree names; lists are looked into."""
    if isinstance(value, list):
        return [select(one, tree) for one in value]
    if not tree or "*" in tree or not isinstance(value, dict):
        return value
    return {name: select(value[name], inner) for name, inner in tree.items() if name in value}


def _read(text: str, start: int) -> tuple[Tree, int]:
    tree: Tree = {}
    position = start
    while True:
        position = _read_path(text, position, tree)
        if text[position : position + 1] != ",":
            return tree, position
        position += 1


def _read_path(text: str, start: int, tree: Tree) -> int:
    word = _WORD.match(text, start)
    if word is None:
        raise _refused(text)
    inner = tree.setdefault(word[0], {})
    position = word.end()
    match text[position : position + 1]:
        case "/":
            return _read_path(text, position + 1, inner)
        case "(":
            found, position = _read(text, position + 1)
            if text[position : position + 1] != ")":
                raise _refused(text)
            inner.update(found)
            return position + 1
    return position


def _refused(text: str) -> Exception:
    return invalid("fields", f"Invalid field selection {text}")
