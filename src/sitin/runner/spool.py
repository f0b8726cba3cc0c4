"""A runner's numbered events on disk. Written by the runner, read by whoever supervises it.

The file is the truth; what goes over the socket is news of it.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from sitin.contract.events import BotEvent, EventBody
from sitin.kit.clock import Clock, SystemClock

NAME = "events.jsonl"
_LARGEST = 64 << 20
"""Bytes of a spool that are read: a hundred thousand comings and goings take half of that."""


class Spool:
    """Appends events; each is given to the system whole, in one write."""

    def __init__(self, directory: Path, fencing_token: int, *, clock: Clock | None = None) -> None:
        self._path = directory / NAME
        self._token = fencing_token
        self._clock = clock or SystemClock()
        _drop_what_is_no_event(self._path)
        self._next = len(read_spool(directory)) + 1
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._listeners: list[Callable[[BotEvent], None]] = []

    def append(self, body: EventBody) -> BotEvent:
        """Number an event, write it, tell the listeners. Raises ``OSError`` on a full disk."""
        event = BotEvent(seq=self._next, at=self._clock.now(), fencing_token=self._token, body=body)
        self._write(event.model_dump_json().encode() + b"\n")
        self._next += 1
        for listener in self._listeners:
            listener(event)
        return event

    def listen(self, listener: Callable[[BotEvent], None]) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; call the result to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        if os.write(self._file, line) < len(line):
            # Half a line would hide every event that is written once there is space again.
            os.ftruncate(self._file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))


def read_spool(directory: Path, *, after: int = 0) -> list[BotEvent]:
    """The events numbered above ``after``; ends before a line that a crash cut off."""
    return [event for event in _whole(directory / NAME)[0] if event.seq > after]


def _whole(path: Path) -> tuple[list[BotEvent], int]:
    """The events of a spool, and the bytes they take; what follows those is none."""
    events: list[BotEvent] = []
    length = 0
    try:
        data = read_plain(path)
    except OSError:
        return events, length
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            events.append(BotEvent.model_validate_json(line))
        except ValidationError:
            break
        length += len(line)
    return events, length


def _drop_what_is_no_event(path: Path) -> None:
    if path.exists():
        os.truncate(path, _whole(path)[1])


def read_plain(path: Path, *, limit: int = _LARGEST) -> bytes:
    """A file that an untrusted process has written: a regular one, of at most ``limit`` bytes.

    Raises ``OSError``.
    """
    # Not blocking: a pipe in the file's place would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        return file.read(limit)
