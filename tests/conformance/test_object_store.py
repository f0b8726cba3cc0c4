"""What every implementation of ``ObjectStore`` does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sitin.contract.storage import ObjectNotFoundError, ObjectStore, StoredObject
from sitin.kit.ids import new_id
from sitin.providers.storage.local import LocalObjectStore
from sitin.providers.storage.s3 import S3ObjectStore
from tests.fakes.storage import FakeObjectStore
from tests.providers.storage.bucket import CREDENTIALS, s3_server

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(params=["fake", "local", "s3", "s3 with prefix"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    match request.param:
        case "fake":
            return FakeObjectStore()
        case "local":
            return LocalObjectStore(tmp_path / "store")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    endpoint = request.getfixturevalue("endpoint")
    prefix = f"{'deep/' if request.param == 's3 with prefix' else ''}{new_id()}"
    return S3ObjectStore("recordings", prefix, endpoint=endpoint)


async def read(store: ObjectStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([part async for part in store.read(key, start=start, end=end)])


async def listed(store: ObjectStore, prefix: str) -> dict[str, int]:
    return {found.key: found.size async for found in store.list(prefix)}


def file_with(tmp_path: Path, content: bytes, name: str = "source") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, 1000, 20_000_000])
async def test_a_file_comes_back(store: ObjectStore, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = file_with(tmp_path, content)
    await store.put_file("bots/1/output.mp4", path, content_type="video/mp4")
    path.unlink()
    assert await store.head("bots/1/output.mp4") == StoredObject(key="bots/1/output.mp4", size=size)
    assert await read(store, "bots/1/output.mp4") == content


async def test_bytes_come_back(store: ObjectStore) -> None:
    await store.put_bytes("a.json", b"{}", content_type="application/json")
    assert await read(store, "a.json") == b"{}"


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (3, 7), (9, 10), (3, None), (5, 5), (8, 100), (10, None), (50, 60), (7, 3)],
)
async def test_ranges(store: ObjectStore, start: int, end: int | None) -> None:
    await store.put_bytes("a", b"0123456789", content_type="text/plain")
    expected = b"" if end is not None and end < start else b"0123456789"[start:end]
    assert await read(store, "a", start, end) == expected


async def test_an_object_is_replaced_whole(store: ObjectStore, tmp_path: Path) -> None:
    await store.put_bytes("a/b", b"a longer first content", content_type="text/plain")
    second = file_with(tmp_path, b"second")
    await store.put_file("a/b", second, content_type="text/plain")
    assert await read(store, "a/b") == b"second"
    # A job that runs twice stores the same file twice.
    await store.put_file("a/b", second, content_type="text/plain")
    assert await read(store, "a/b") == b"second"
    assert await listed(store, "a") == {"a/b": 6}


async def test_what_is_not_there(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        await store.head("a")
    with pytest.raises(ObjectNotFoundError):
        await read(store, "a")
    await store.delete("a")
    assert await listed(store, "nothing") == {}


async def test_a_deleted_object_is_gone(store: ObjectStore) -> None:
    await store.put_bytes("a/b", b"x", content_type="text/plain")
    await store.put_bytes("a/c", b"x", content_type="text/plain")
    await store.delete("a/b")
    with pytest.raises(ObjectNotFoundError):
        await store.head("a/b")
    assert await listed(store, "a") == {"a/c": 1}
    # The last one takes its directory along, where there are directories.
    await store.delete("a/c")
    await store.put_bytes("a/b", b"again", content_type="text/plain")
    assert await read(store, "a/b") == b"again"


async def test_a_list_goes_by_whole_names(store: ObjectStore) -> None:
    for key in ("bots/1/a", "bots/1/deep/b", "bots/10/c", "bots/2/d"):
        await store.put_bytes(key, key.encode(), content_type="text/plain")
    assert await listed(store, "bots/1") == {"bots/1/a": 8, "bots/1/deep/b": 13}
    assert await listed(store, "bots/1/") == {"bots/1/a": 8, "bots/1/deep/b": 13}
    assert set(await listed(store, "bots")) == {
        "bots/1/a",
        "bots/1/deep/b",
        "bots/10/c",
        "bots/2/d",
    }


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "../a", "a/../b", ".a", "a b", "ä", "a#1", "a\n", "a%2e"]
)
async def test_what_is_no_key_is_refused(store: ObjectStore, tmp_path: Path, key: str) -> None:
    path = file_with(tmp_path, b"x")
    with pytest.raises(ValueError, match="no key"):
        await store.put_bytes(key, b"x", content_type="text/plain")
    with pytest.raises(ValueError, match="no key"):
        await store.put_file(key, path, content_type="text/plain")
    with pytest.raises(ValueError, match="no key"):
        await store.head(key)
    with pytest.raises(ValueError, match="no key"):
        await read(store, key)
    with pytest.raises(ValueError, match="no key"):
        await store.delete(key)


async def test_only_a_regular_file_is_stored(store: ObjectStore, tmp_path: Path) -> None:
    secret = file_with(tmp_path, b"secret")
    link = tmp_path / "link"
    link.symlink_to(secret)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (link, fifo, tmp_path):
        with pytest.raises(ValueError, match="no regular file"):
            await store.put_file("a", path, content_type="text/plain")
    with pytest.raises(FileNotFoundError):
        await store.put_file("a", tmp_path / "missing", content_type="text/plain")
    with pytest.raises(ObjectNotFoundError):
        await store.head("a")
