"""THIRD_PARTY.md names every package that is locked for use, and every library in its wheel."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "THIRD_PARTY.md").read_text()
PACKAGES = PAGE.partition("## Python packages")[2].partition("## ")[0]
ELSEWHERE = re.compile(r"sys_platform == '(win32|emscripten)'")
ROW = re.compile(r"^\| (?!package )([a-z0-9-]+) \| (\w.*) \|$", re.MULTILINE)
HASHED = re.compile(r"^(lib.+?)-[0-9a-f]{8}(?:-[0-9a-f]{8})?\.so")
GENERIC = {"MIT License": "MIT", "ISC License": "ISC", "3-Clause BSD License": "BSD-3-Clause"}


def locked() -> set[str]:
    """Names of the packages that sitin, with every extra, is locked to on Linux."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        packages.setdefault(package["name"], []).append(package)

    def needed(name: str, extras: list[str]) -> Iterator[dict[str, Any]]:
        for package in packages[name]:
            yield from package.get("dependencies", [])
            for extra in extras:
                yield from package.get("optional-dependencies", {}).get(extra, [])

    found: set[str] = set()
    waiting = [("sitin", list(packages["sitin"][0]["optional-dependencies"]))]
    while waiting:
        name, extras = waiting.pop()
        for one in needed(name, extras):
            if ELSEWHERE.search(one.get("marker", "")):
                continue
            if one["name"] not in found or one.get("extra"):
                found.add(one["name"])
                waiting.append((one["name"], one.get("extra", [])))
    return found


def bundled() -> Iterator[tuple[str, str]]:
    """Package and library of every shared library beside an installed package of use."""
    for name in locked():
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.parts[0].endswith(".libs") and (match := HASHED.match(file.name)):
                yield name, match[1]


def test_every_locked_package_is_listed_and_no_other() -> None:
    assert {name for name, _ in ROW.findall(PACKAGES)} == locked()


def test_the_licences_are_those_that_the_packages_declare() -> None:
    listed = dict(ROW.findall(PACKAGES))
    for name, licence in listed.items():
        try:
            declared = metadata.metadata(name)["License-Expression"]
        except metadata.PackageNotFoundError:
            continue
        if declared:
            assert licence == GENERIC.get(declared, declared), name


def test_every_bundled_library_is_named() -> None:
    found = set(bundled())
    assert found, "the wheels of this install bundle nothing"
    missing = [
        f"{package}: {library}"
        for package, library in sorted(found)
        if not re.search(rf"\b{re.escape(library)}(?![\w-])", PAGE)
    ]
    assert missing == []
