"""A bot's numbered events on disk, also after a crash and from a bot that means harm."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import BotEvent, Ended, StatusReached
from sitin.runner.places import NO_SPACE, Place
from sitin.runner.spool import NAME, Spool, read_plain, read_spool
from sitin.runner.supervisor import RUNNER
from tests.fakes.clock import MovedClock
from tests.runner.host import order

pytestmark = pytest.mark.unit

STATUSES = list(BotStatus)


def fill(directory: Path, count: int, *, token: int = 7) -> list[BotEvent]:
    spool = Spool(directory, token)
    events = [spool.append(StatusReached(status=STATUSES[n % len(STATUSES)])) for n in range(count)]
    spool.close()
    return events


def test_events_are_numbered_from_one_and_read_back(tmp_path: Path) -> None:
    clock = MovedClock()
    spool = Spool(tmp_path, 7, clock=clock)
    first = spool.append(StatusReached(status=BotStatus.JOINING_CALL))
    clock.move(timedelta(seconds=1))
    second = spool.append(StatusReached(status=BotStatus.IN_WAITING_ROOM, message="x\ny"))
    assert read_spool(tmp_path) == [first, second], "before it is closed"
    spool.close()
    assert [(one.seq, one.fencing_token) for one in (first, second)] == [(1, 7), (2, 7)]
    assert second.at - first.at == timedelta(seconds=1)
    assert read_spool(tmp_path, after=1) == [second]
    assert read_spool(tmp_path, after=2) == []
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_without_a_spool_there_is_nothing(tmp_path: Path) -> None:
    assert read_spool(tmp_path) == []


def test_who_opens_it_again_goes_on_counting(tmp_path: Path) -> None:
    before = fill(tmp_path, 3)
    after = fill(tmp_path, 2, token=8)
    assert [one.seq for one in after] == [4, 5]
    assert read_spool(tmp_path) == before + after


def test_listeners_hear_each_event_until_they_stop(tmp_path: Path) -> None:
    spool, heard = Spool(tmp_path, 7), list[BotEvent]()
    first = spool.append(StatusReached(status=BotStatus.JOINING_CALL))
    stop = spool.listen(heard.append)
    second = spool.append(StatusReached(status=BotStatus.IN_WAITING_ROOM))
    stop()
    spool.append(StatusReached(status=BotStatus.IN_CALL_RECORDING))
    spool.close()
    assert heard == [second]
    assert first not in heard


@given(st.data())
def test_cut_off_anywhere_it_is_what_came_before_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    events = fill(directory, 4)
    whole = (directory / NAME).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    (directory / NAME).write_bytes(whole[:cut])
    left = events[: whole[:cut].count(b"\n")]
    assert read_spool(directory) == left
    more = fill(directory, 1)
    assert more[0].seq == len(left) + 1
    assert read_spool(directory) == left + more


@given(st.binary(max_size=200))
def test_what_is_no_event_ends_it_and_is_written_over(
    tmp_path_factory: pytest.TempPathFactory, rubbish: bytes
) -> None:
    """A power failure leaves anything; a recovery has to get its last word into the spool."""
    directory = tmp_path_factory.mktemp("spool")
    events = fill(directory, 2)
    with (directory / NAME).open("ab") as file:
        file.write(rubbish + b"\n")
    assert read_spool(directory) == events
    more = fill(directory, 1)
    assert read_spool(directory) == events + more


@contextlib.contextmanager
def space_for(size: int) -> Iterator[None]:
    """As on a disk that is almost full: no file of this process grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestFullDisk:
    def test_an_event_is_written_whole_or_not_at_all(self, tmp_path: Path) -> None:
        before = fill(tmp_path, 2)
        size = (tmp_path / NAME).stat().st_size
        spool, heard = Spool(tmp_path, 7), list[BotEvent]()
        spool.listen(heard.append)
        with space_for(size + 20), pytest.raises(OSError, match="No space left") as caught:
            spool.append(StatusReached(status=BotStatus.CALL_ENDED))
        assert caught.value.errno == errno.ENOSPC
        assert heard == []
        assert (tmp_path / NAME).stat().st_size == size
        after = spool.append(StatusReached(status=BotStatus.CALL_ENDED))
        spool.close()
        assert after.seq == 3
        assert read_spool(tmp_path) == [*before, after] == [*before, *heard]

    def test_a_recovery_says_that_it_has_to_be_tried_again(self, tmp_path: Path) -> None:
        place = Place(tmp_path / "place")
        place.make(None)
        place.write_spec(order("it died"), None)
        events = fill(place.files, 2, token=1)
        # Without compiled modules, which would be cut off as well and stay so.
        runner = [sys.executable, "-B", *RUNNER[1:]]
        recover = [*runner, str(place.root), "--recover", EndReason.FORCE_KILLED.value]
        size = (place.files / NAME).stat().st_size
        with space_for(size + 20):
            # What it writes is its own limit, which children inherit.
            assert subprocess.run(recover, check=False).returncode == NO_SPACE
        assert read_spool(place.files) == events
        assert subprocess.run(recover, check=False).returncode == 0
        *same, last = read_spool(place.files)
        assert same == events
        assert isinstance(last.body, Ended)
        assert last.body.reason is EndReason.FORCE_KILLED


class TestUntrusted:
    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        fill(elsewhere, 2)
        (tmp_path / NAME).symlink_to(elsewhere / NAME)
        assert read_spool(tmp_path) == []

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / NAME)
        assert read_spool(tmp_path) == []

    def test_a_device_or_directory_is_not_read(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="no regular file"):
            read_plain(Path("/dev/zero"))
        with pytest.raises(OSError, match="directory"):
            read_plain(tmp_path)

    def test_no_more_than_the_limit_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "large").write_bytes(b"x" * 100)
        assert read_plain(tmp_path / "large", limit=10) == b"x" * 10
