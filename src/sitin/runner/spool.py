"""A runner's numbered events on disk. Written by the runner, read by whoever supervises it.

The file is the truth; what goes over the socket is news of it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from sitin.contract.events import BotEvent, EventBody
from sitin.kit.clock import Clock, SystemClock

NAME = "events.jsonl"


class Spool:
    """Appends events; each is given to the system whole, in one write."""

    def __init__(self, directory: Path, fencing_token: int, *, clock: Clock | None = None) -> None:
        self._path = directory / NAME
        self._token = fencing_token
        self._clock = clock or SystemClock()
        _drop_partial_line(self._path)
        self._next = len(read_spool(directory)) + 1
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._listeners: list[Callable[[BotEvent], None]] = []

    def append(self, body: EventBody) -> BotEvent:
        """Number an event, write it, tell the listeners."""
        event = BotEvent(seq=self._next, at=self._clock.now(), fencing_token=self._token, body=body)
        os.write(self._file, event.model_dump_json().encode() + b"\n")
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


def read_spool(directory: Path, *, after: int = 0) -> list[BotEvent]:
    """The events numbered above ``after``; a last line that a crash cut off is passed over."""
    try:
        lines = (directory / NAME).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        if not line.endswith(b"\n"):
            break
        try:
            event = BotEvent.model_validate_json(line)
        except ValidationError:
            break
        if event.seq > after:
            events.append(event)
    return events


def _drop_partial_line(path: Path) -> None:
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        os.truncate(path, whole)
