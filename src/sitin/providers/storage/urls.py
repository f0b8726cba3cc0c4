"""From ``SITIN_STORAGE_URL`` to a store. Used by the command line."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError

from sitin.contract.storage import ObjectStore
from sitin.kit.errors import OperatorError, operator_error
from sitin.providers.storage.base import checked
from sitin.providers.storage.local import LocalObjectStore
from sitin.providers.storage.s3 import S3ObjectStore


def open_store(
    url: str, *, s3_endpoint: str | None = None, s3_public_endpoint: str | None = None
) -> ObjectStore:
    """The store of a ``file:///directory`` or ``s3://bucket/prefix``; raises ``OperatorError``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong(url) from None
    if parts.query or parts.fragment:
        raise _wrong(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        root = Path(unquote(parts.path))
        try:
            return LocalObjectStore(root)
        except OSError as error:
            raise operator_error(error, root) from error
    if parts.scheme == "s3" and parts.netloc:
        prefix = parts.path.strip("/")
        try:
            return S3ObjectStore(
                parts.netloc,
                checked(prefix) if prefix else "",
                endpoint=s3_endpoint,
                public_endpoint=s3_public_endpoint,
            )
        except (ValueError, BaseError) as error:
            raise _wrong(url) from error
    raise _wrong(url)


def is_local(url: str) -> bool:
    """Whether the objects of this address are files that other machines may not see."""
    return urlsplit(url).scheme == "file"


def _wrong(url: str) -> OperatorError:
    return OperatorError(
        f"The storage address {url} is none: set SITIN_STORAGE_URL to file:///DIRECTORY or "
        "s3://BUCKET/PREFIX."
    )
