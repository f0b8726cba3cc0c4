"""What only files can do wrong."""

import errno
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from sitin.contract.failures import RetriableError
from sitin.providers.storage.local import LocalObjectStore

pytestmark = pytest.mark.unit


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "recording" / "output.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a recording")
    return path


async def test_a_file_is_shared_not_copied(tmp_path: Path, source: Path) -> None:
    store = LocalObjectStore(tmp_path / "store")
    await store.put_file("bots/1/output.mp4", source, content_type="video/mp4")
    stored = tmp_path / "store/bots/1/output.mp4"
    assert stored.samefile(source)
    assert stored.stat().st_mode & 0o777 == 0o600


async def test_across_file_systems_a_file_is_copied(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    store = LocalObjectStore(tmp_path / "store")
    await store.put_file("a", source, content_type="video/mp4")
    stored = tmp_path / "store/a"
    assert not stored.samefile(source)
    assert stored.read_bytes() == b"a recording"
    assert stored.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a file from another user")
async def test_the_stored_file_is_no_longer_its_writers(tmp_path: Path, source: Path) -> None:
    os.chown(source, pwd.getpwnam("games").pw_uid, -1)
    store = LocalObjectStore(tmp_path / "store")
    await store.put_file("a", source, content_type="video/mp4")
    assert (tmp_path / "store/a").stat().st_uid == 0


async def test_a_put_that_fails_leaves_the_old_object_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjectStore(tmp_path / "store")
    await store.put_bytes("a/b", b"old", content_type="text/plain")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RetriableError):
        await store.put_bytes("a/b", b"new", content_type="text/plain")
    assert [path.name for path in (tmp_path / "store/a").iterdir()] == ["b"]
    assert (tmp_path / "store/a/b").read_bytes() == b"old"


async def test_what_a_killed_put_has_left_is_not_listed(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "store")
    await store.put_bytes("a/b", b"x", content_type="text/plain")
    (tmp_path / "store/a/c#123").write_bytes(b"half of it")
    assert [found.key async for found in store.list("a")] == ["a/b"]


async def test_nobody_else_may_look_into_the_store(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "store")
    await store.put_bytes("a", b"x", content_type="text/plain")
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store/a").stat().st_mode & 0o777 == 0o600
