"""Objects as files below a directory."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from obstore.store import LocalStore

from sitin.contract.failures import RetriableError
from sitin.kit.files import sync_directory
from sitin.providers.storage.base import ObstoreStore, check_file, checked, failures

_COPY_SIZE = 1024 * 1024  # bytes
_TRIES = 5


class LocalObjectStore(ObstoreStore):
    """A directory on this machine, or one that all machines share.

    A file on the same file system is not copied: it gets a second name (a hard link), from then on
    belongs to this process' user alone, and the name it came by can be deleted.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = root.resolve()
        super().__init__(LocalStore(self._root, automatic_cleanup=True))

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:  # noqa: ARG002
        """See ``ObjectStore.put_file``."""
        await asyncio.to_thread(check_file, path)
        await asyncio.to_thread(self._put, key, lambda staging: _link_or_copy(path, staging))

    async def put_bytes(self, key: str, data: bytes, *, content_type: str) -> None:  # noqa: ARG002
        """See ``ObjectStore.put_bytes``."""
        await asyncio.to_thread(self._put, key, lambda staging: _write(data, staging))

    def _put(self, key: str, make: Callable[[Path], None]) -> None:
        target = self._root / checked(key)
        # A name that cannot be a key's, and one that obstore leaves out of its lists.
        staging = target.with_name(f"{target.name}#{secrets.randbits(63)}")
        with failures(key):
            for _ in range(_TRIES):
                try:
                    _make_directory(target.parent, self._root)
                    make(staging)
                    staging.replace(target)
                    break
                except FileNotFoundError:
                    continue  # another process deleted the last file of the directory
                finally:
                    # Still there after a failure, or when it was a name of the same file already.
                    staging.unlink(missing_ok=True)
            else:
                raise RetriableError(f"The object store failed at {key}.")
            sync_directory(target.parent)


def _make_directory(path: Path, root: Path) -> None:
    if path != root and not path.is_dir():
        _make_directory(path.parent, root)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def _write(data: bytes, staging: Path) -> None:
    with _new_file(staging) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link_or_copy(path: Path, staging: Path) -> None:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source:
        status = os.fstat(source.fileno())
        try:
            os.link(path, staging, follow_symlinks=False)
        except OSError:  # another file system, or one without hard links
            with _new_file(staging) as copy:
                shutil.copyfileobj(source, copy, _COPY_SIZE)
                copy.flush()
                os.fsync(copy.fileno())
            return
        if not os.path.samestat(staging.lstat(), status):
            raise ValueError(f"{path} changed while it was stored")
        # Whoever wrote it, from now on it is this process' user's alone.
        if status.st_uid != os.geteuid():
            os.fchown(source.fileno(), os.geteuid(), os.getegid())
        os.fchmod(source.fileno(), 0o600)
        os.fsync(source.fileno())


def _new_file(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")
