"""Where a bot's files are: who may do what there, and what is a file of its own."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sitin.contract.recording import ArtifactKind, ArtifactRef, Recording
from sitin.runner.isolation import FIRST_UID, Identity
from sitin.runner.places import Place, UnsafeRecordingError
from tests.runner.host import order

pytestmark = pytest.mark.unit


@pytest.fixture
def identity() -> Identity | None:
    """A user of the bot's own where the tests run as root, as in the worker."""
    return Identity(FIRST_UID) if os.geteuid() == 0 else None


@pytest.fixture
def place(tmp_path: Path, identity: Identity | None) -> Place:
    place = Place(tmp_path / "bot")
    place.make(identity)
    return place


def recording(path: str) -> Recording:
    ref = ArtifactRef(kind=ArtifactKind.AUDIO, path=path, size=1, content_type="audio/flac")
    return Recording(started_at=datetime.now(UTC), duration=1.0, files=(ref,), participants=())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_the_worker_owns_the_place_and_the_bot_its_files(
    tmp_path: Path, identity: Identity | None, mask: int
) -> None:
    """Whatever the mask: others pass through to the bot's directory, and read nothing."""
    before = os.umask(mask)
    try:
        place = Place(tmp_path / "bot")
        place.make(identity)
        place.make(identity)
        place.write_spec(order("x"), identity)
    finally:
        os.umask(before)
    assert mode(place.root) == 0o711
    assert mode(place.files) == 0o700
    assert mode(place.root / "spec.json") == 0o640
    assert place.root.stat().st_uid == os.geteuid()
    if identity is not None:
        assert place.files.stat().st_uid == identity.uid
        assert (place.root / "spec.json").stat().st_uid == 0
        assert (place.root / "spec.json").stat().st_gid == identity.uid


def test_an_order_is_read_back_and_written_whole(place: Place, identity: Identity | None) -> None:
    (place.root / "spec.partial").write_text("{half of an ord")
    assert not place.ordered
    spec = order("x")
    place.write_spec(spec, identity)
    assert Place(place.root).ordered
    assert place.read_spec() == spec
    assert sorted(one.name for one in place.root.iterdir()) == ["files", "spec.json"]


def test_everything_is_deleted_and_twice_is_no_error(place: Place) -> None:
    (place.files / "deep" / "deeper").mkdir(parents=True)
    place.delete()
    place.delete()
    assert not place.root.exists()


@pytest.mark.parametrize("path", ["output.flac", "participants/1.flac"])
def test_a_file_of_its_own_is_taken(place: Place, path: str) -> None:
    (place.files / path).parent.mkdir(exist_ok=True)
    (place.files / path).write_bytes(b"x")
    place.verify(recording(path))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../spec.json",
        "none.flac",
        "link.flac",
        "linked/output.flac",
        "participants",
        "participants/../output.flac",
        ".",
        "",
        "output.flac\0",
        "pipe",
    ],
)
def test_anything_else_is_refused(place: Place, path: str) -> None:
    (place.files / "output.flac").write_bytes(b"x")
    (place.files / "link.flac").symlink_to("/etc/passwd")
    (place.files / "linked").symlink_to(place.files)
    (place.files / "participants").mkdir()
    os.mkfifo(place.files / "pipe")
    with pytest.raises(UnsafeRecordingError):
        place.verify(recording(path))
