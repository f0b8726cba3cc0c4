"""What all stores on obstore have in common. For the modules beside it."""

import re
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.contract.storage import ObjectNotFoundError, StoredObject

READ_SIZE = 256 * 1024
"""Bytes of one part of a stream, at least."""

_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


class ObstoreStore:
    """Reading, deleting and listing by obstore."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    async def head(self, key: str) -> StoredObject:
        """See ``ObjectStore.head``."""
        with failures(checked(key)):
            meta = await obstore.head_async(self._store, key)
        return StoredObject(key=key, size=meta["size"])

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """See ``ObjectStore.read``."""
        size = (await self.head(key)).size
        end = size if end is None else min(end, size)
        if start >= end:
            return
        with failures(key):
            result = await obstore.get_async(self._store, key, options={"range": (start, end)})
            async for part in result.stream(min_chunk_size=READ_SIZE):
                yield bytes(part)

    async def delete(self, key: str) -> None:
        """See ``ObjectStore.delete``."""
        try:
            with failures(checked(key)):
                await obstore.delete_async(self._store, key)
        except ObjectNotFoundError:
            return

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """See ``ObjectStore.list``."""
        with failures(prefix):
            async for batch in obstore.list(self._store, checked(prefix.rstrip("/"))):
                for meta in batch:
                    yield StoredObject(key=meta["path"], size=meta["size"])

    async def presigned_url(self, key: str, *, expires_in: timedelta) -> str | None:  # noqa: ARG002
        """See ``ObjectStore.presigned_url``."""
        return None


def checked(key: str) -> str:
    """The key, if it is one; raises ``ValueError``."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of an object store")
    return key


def check_file(path: Path) -> None:
    """Raise ``ValueError`` unless it is a regular file, ``FileNotFoundError`` when it is not there.

    What a bot's process has written is not trusted: a symbolic link would lead anywhere.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path} is no regular file")


@contextmanager
def failures(key: str) -> Iterator[None]:
    """Raise what obstore raises as one of the contract's failures."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFoundError(key) from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise ActionRequiredError(
            f"The object store refuses access to {key}: check the rights and keys it is used with.",
            by="operator",
        ) from error
    except (BaseError, OSError) as error:
        raise RetriableError(f"The object store failed at {key}.") from error
