"""Objects in a bucket of S3 or of a store that speaks its protocol."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

from sitin.contract.failures import ActionRequiredError
from sitin.contract.storage import ObjectNotFoundError
from sitin.providers.storage.base import ObstoreStore, check_file, checked, failures

if TYPE_CHECKING:
    from obstore.store import S3Config  # a type only; the library does not export it at run time

_PART_SIZE = 8 * 1024 * 1024  # bytes; 10,000 parts are the protocol's most, 80 GB in all
_PARTS_AT_ONCE = 4
LONGEST_PRESIGNED = timedelta(days=7)
"""The most that signature version 4 allows."""


class S3ObjectStore(ObstoreStore):
    """A bucket, or what is below a prefix in it.

    Credentials and region come from the usual AWS variables, or from the machine's role.

    Args:
        bucket: Its name.
        prefix: What all keys are below, without slashes at its ends; may be empty.
        endpoint: ``http(s)://HOST[:PORT]`` of another store than Amazon's.
        public_endpoint: The same as customers reach it, if that differs; the host is part of what
            a presigned URL signs.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        public_endpoint: str | None = None,
    ) -> None:
        super().__init__(_store(bucket, prefix, endpoint))
        self._bucket = bucket
        self._signing = _store(bucket, prefix, public_endpoint or endpoint)

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """See ``ObjectStore.put_file``."""
        await asyncio.to_thread(check_file, path)
        await self._put(checked(key), path, content_type)

    async def put_bytes(self, key: str, data: bytes, *, content_type: str) -> None:
        """See ``ObjectStore.put_bytes``."""
        await self._put(checked(key), data, content_type)

    async def presigned_url(self, key: str, *, expires_in: timedelta) -> str | None:
        """See ``ObjectStore.presigned_url``; seven days are the most there is."""
        with failures(checked(key)):
            return await obstore.sign_async(
                self._signing, "GET", key, min(expires_in, LONGEST_PRESIGNED)
            )

    async def _put(self, key: str, content: Path | bytes, content_type: str) -> None:
        try:
            with failures(key):
                await obstore.put_async(
                    self._store,
                    key,
                    content,
                    attributes={"Content-Type": content_type},
                    chunk_size=_PART_SIZE,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        except ObjectNotFoundError:
            raise ActionRequiredError(
                f"The object store knows no bucket {self._bucket}: make it, or correct "
                "SITIN_STORAGE_URL.",
                by="operator",
            ) from None


def _store(bucket: str, prefix: str, endpoint: str | None) -> S3Store:
    # Other stores seldom have a host name per bucket; Amazon takes both.
    config: S3Config = {"virtual_hosted_style_request": False}
    if endpoint:
        config["endpoint"] = endpoint
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(hours=1),  # of a whole request; a recording is large
        },
        retry_config={"max_retries": 5, "retry_timeout": timedelta(minutes=2)},
    )
