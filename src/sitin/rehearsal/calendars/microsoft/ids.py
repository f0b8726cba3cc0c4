"""Graph's ids of events. For the Microsoft rehearsal.

They say nothing to a client. An occurrence's id holds how often its series' pattern was replaced,
so that another pattern brings other ids. Every event has a second, immutable id, which is told to
those who ask for it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from sitin.rehearsal.calendars.model import Event

_CHANGING = "AAMkADk0"
_IMMUTABLE = "AAkALgAA"


@dataclass(frozen=True, slots=True)
class EventId:
    """What an id holds: an event, or an occurrence by its ``stamp``."""

    event_id: str
    generation: int = 0
    key: str | None = None

    def of(self, event: Event) -> bool:
        """Whether the event, as stored, is still the one that is meant."""
        return self.key is None or self.generation == event.generation


def write_id(event: Event, *, immutable: bool) -> str:
    """The id of an event, a series or an occurrence."""
    return write(event.id, event.generation, event.key, immutable=immutable)


def write(event_id: str, generation: int, key: str | None, *, immutable: bool) -> str:
    """The id of an event, or of the occurrence with this ``stamp``."""
    text = event_id if key is None else f"{event_id}|{generation}|{key}"
    prefix = _IMMUTABLE if immutable else _CHANGING
    return prefix + urlsafe_b64encode(text.encode()).decode()


def read_id(text: str) -> EventId | None:
    """What an id of either kind holds; ``None`` for none of ours."""
    if not text.startswith((_CHANGING, _IMMUTABLE)):
        return None
    try:
        event_id, *rest = urlsafe_b64decode(text[len(_CHANGING) :]).decode().split("|")
        return EventId(event_id, int(rest[0]), rest[1]) if rest else EventId(event_id)
    except (ValueError, IndexError):
        return None
