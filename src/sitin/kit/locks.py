"""Locks between processes on one machine, as ``flock`` on a file. Used within the kit.

The kernel drops a lock when its process ends in whatever way, so a killed holder leaves no trace.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class FileLock:
    """A lock on one file, shared or exclusive; as a context manager it is exclusive.

    Each instance is a holder of its own, also beside others in the same process. The file is made
    with mode 0600 and belongs to whoever owns its directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False) -> None:
        """Wait for the lock, or change the kind of the one held."""
        fcntl.flock(self._open(), fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_exclusive(self) -> bool:
        """Take the lock for oneself if nobody else holds it in any way."""
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go; releasing twice is no error."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            give_to_owner_of_directory(self._path)
        return self._descriptor

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def give_to_owner_of_directory(path: Path) -> None:
    """Let a file made by root belong to the owner of its directory, so that they can use it too."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
