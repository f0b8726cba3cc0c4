"""A directory for a test run that every user of this machine may enter.

The embedded Postgres of root runs as another account, and pytest's own temporary directories are
closed to others.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sitin.kit.errors import OperatorError
from sitin.kit.locks import FileLock
from sitin.kit.postgres import EmbeddedPostgres

PREFIX = "sitin-tests-"


@contextmanager
def reachable_directory() -> Iterator[Path]:
    """A short-named directory with mode 0755, removed at the end."""
    remove_left_behind()
    new = Path(tempfile.mkdtemp(prefix="new-")).resolve()
    with FileLock(new / "run.lock"):
        new.chmod(0o755)
        # Under this name it is found by other runs, who must not take it for a dead one's.
        path = new.rename(new.with_name(f"{PREFIX}{new.name}"))
        try:
            yield path
        finally:
            _remove(path)


def remove_left_behind() -> None:
    """Stop the servers and remove the directories of test runs that were killed."""
    for path in Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*"):
        lock = FileLock(path / "run.lock")
        with contextlib.suppress(OSError):  # another user's
            if lock.try_exclusive():
                _remove(path)
        lock.release()


def shelter_of(path: Path) -> Path:
    """Where root's clusters live in a test run, given any path inside its directory."""
    run = next(parent for parent in path.parents if parent.name.startswith(PREFIX))
    return run / "shelter"


def _remove(path: Path) -> None:
    for mount in filter(os.path.ismount, path.glob("*/*")):
        subprocess.run(["umount", str(mount)], check=False)
    for link in (
        link for depth in ("*", "*/*", "*/*/*") for link in path.glob(f"{depth}/postgres")
    ):
        if (link / "cluster").is_dir():
            with contextlib.suppress(OperatorError):
                EmbeddedPostgres(link.parent, shelter=shelter_of(link.parent)).destroy()
    shutil.rmtree(path, ignore_errors=True)
