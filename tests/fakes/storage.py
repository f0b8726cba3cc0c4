"""An object store in memory. Passes the same suite as the real ones."""

import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from sitin.contract.storage import ObjectNotFoundError, StoredObject
from sitin.providers.storage.base import checked


class FakeObjectStore:
    """Objects in a dictionary, with their content types beside them."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.content_types: dict[str, str] = {}

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        if not stat.S_ISREG(path.lstat().st_mode):  # noqa: ASYNC240 - a fake
            raise ValueError(f"{path} is no regular file")
        await self.put_bytes(key, path.read_bytes(), content_type=content_type)  # noqa: ASYNC240

    async def put_bytes(self, key: str, data: bytes, *, content_type: str) -> None:
        self.objects[checked(key)] = data
        self.content_types[key] = content_type

    async def head(self, key: str) -> StoredObject:
        return StoredObject(key=key, size=len(self._get(key)))

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        data = self._get(key)[start:end]
        for offset in range(0, len(data), 7):
            yield data[offset : offset + 7]

    async def delete(self, key: str) -> None:
        self.objects.pop(checked(key), None)

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        below = f"{checked(prefix.rstrip('/'))}/"
        for key, data in list(self.objects.items()):
            if key.startswith(below):
                yield StoredObject(key=key, size=len(data))

    async def presigned_url(self, key: str, *, expires_in: timedelta) -> str | None:
        return None

    def _get(self, key: str) -> bytes:
        try:
            return self.objects[checked(key)]
        except KeyError:
            raise ObjectNotFoundError(key) from None
