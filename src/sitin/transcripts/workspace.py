"""Directories for the files that a run works on. Used by the work on transcripts.

Each is held by a lock that ends with its process, so that what a killed one leaves behind is
removed by the next run on this machine.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sitin.kit.locks import FileLock

_LOCK = "run.lock"
_PREFIX = "run-"


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """An empty directory below ``parent``, removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(parent)
    made = Path(tempfile.mkdtemp(dir=parent, prefix="new-"))
    with FileLock(made / _LOCK):
        # Named so only once it is locked, or another run might take it for left behind.
        path = made.rename(parent / made.name.replace("new-", _PREFIX, 1))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = FileLock(path / _LOCK)
            if lock.try_exclusive():
                shutil.rmtree(path, ignore_errors=True)
            lock.release()
