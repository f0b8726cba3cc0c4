"""Fixtures shared by all tests."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reachable import reachable_directory


@pytest.fixture(scope="session")
def run_directory() -> Iterator[Path]:
    """This test run's own directory, open to every user of the machine."""
    with reachable_directory() as path:
        yield path


@pytest.fixture(scope="session")
def make_directory(run_directory: Path) -> Callable[[], Path]:
    """Makes an empty directory that every user of the machine may enter."""
    numbers = itertools.count(1)

    def make() -> Path:
        path = run_directory / str(next(numbers))
        path.mkdir()
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def reachable_path(make_directory: Callable[[], Path]) -> Path:
    """Like pytest's ``tmp_path``, for what a process of another user has to reach."""
    return make_directory()
