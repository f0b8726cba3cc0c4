"""Errors of notifications, as the commands show them."""

from sitin.kit.errors import OperatorError
from sitin.notifications.events import EventType


class UnknownEventError(OperatorError):
    """An endpoint was to get events that there are none of."""

    def __init__(self, event: str) -> None:
        super().__init__(
            f"There is no event {event!r}; the events are {', '.join(sorted(EventType))}."
        )
