"""The Protocol of an object store. Implemented in providers/storage, used by artifacts."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from sitin.contract.base import Frozen


class StoredObject(Frozen):
    """What a store knows of one object."""

    key: str
    size: int
    """Bytes."""


class ObjectNotFoundError(Exception):
    """No object has this key."""


class ObjectStore(Protocol):
    """A flat store of objects by key.

    A key is a relative path of ``/``-separated names out of ASCII letters, digits, ``.``, ``_`` and
    ``-``; another one is a ``ValueError``. Every method may raise ``RetriableError`` or
    ``ActionRequiredError`` of ``sitin.contract.failures``.
    """

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """Store a file, streaming; an object of that key is replaced whole or not at all.

        The file must be a regular one, not a symbolic link (``ValueError``), and must not be
        changed afterwards: a store on the same file system shares it instead of copying it.
        Deleting it is fine.
        """
        ...

    async def put_bytes(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store a small object; one of that key is replaced whole or not at all."""
        ...

    async def head(self, key: str) -> StoredObject:
        """Tell an object's size. Raises ``ObjectNotFoundError``."""
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes ``start`` to ``end`` (exclusive), as far as there are any.

        Raises ``ObjectNotFoundError``.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        ...

    def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """List the objects below a prefix of whole names: ``a/b`` has ``a/b/c`` and no ``a/bc``."""
        ...

    async def presigned_url(self, key: str, *, expires_in: timedelta) -> str | None:
        """A URL that works without a key until it expires; ``None`` where the store has none."""
        ...
