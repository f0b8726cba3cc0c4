"""From the setting to a store."""

from pathlib import Path

import pytest

from sitin.kit.errors import OperatorError
from sitin.providers.storage.local import LocalObjectStore
from sitin.providers.storage.s3 import S3ObjectStore
from sitin.providers.storage.urls import is_local, open_store

pytestmark = pytest.mark.unit


async def test_a_directory(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/some%20where")
    assert isinstance(store, LocalObjectStore)
    await store.put_bytes("a", b"x", content_type="text/plain")
    assert (tmp_path / "some where" / "a").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b/"])
def test_a_bucket(url: str) -> None:
    assert isinstance(open_store(url), S3ObjectStore)


@pytest.mark.parametrize(
    "url",
    [
        *("", "artifacts", "/var/artifacts", "file:artifacts", "file://host/var", "file://"),
        *("s3://", "s3:///prefix", "s3://bucket/../x", "s3://bucket/a b", "s3://bucket?x=1"),
        *("gs://bucket", "http://[bad"),
    ],
)
def test_what_is_no_storage_address(url: str) -> None:
    with pytest.raises(OperatorError, match="SITIN_STORAGE_URL to file:///DIRECTORY or"):
        open_store(url)


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OperatorError, match="is not a directory"):
        open_store(f"file://{tmp_path}/file")


def test_which_addresses_other_machines_may_not_see() -> None:
    assert is_local("file:///var/artifacts")
    assert not is_local("s3://bucket")
