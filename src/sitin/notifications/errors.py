"""Errors of notifications, as the commands show them."""

from datetime import datetime
from uuid import UUID

from sitin.kit.clock import iso
from sitin.kit.errors import OperatorError
from sitin.notifications.events import EventType


class UnknownEventError(OperatorError):
    """An endpoint or a filter names an event that there is none of."""

    def __init__(self, event: str) -> None:
        super().__init__(
            f"There is no event {event!r}; the events are {', '.join(sorted(EventType))}."
        )


class InvalidNameError(OperatorError):
    """An endpoint was to get a name that it cannot have."""

    def __init__(self, longest: int) -> None:
        super().__init__(
            f"A webhook endpoint's name has 1 to {longest} characters, at least one of "
            "them visible and none a control character."
        )


class UnknownEndpointError(OperatorError):
    """No endpoint has this id, or it was deleted."""

    def __init__(self, endpoint_id: UUID) -> None:
        super().__init__(
            f"There is no webhook endpoint {endpoint_id}; sitin webhook list shows a team's."
        )


class UnknownMessageError(OperatorError):
    """No message has this id, or it was pruned."""

    def __init__(self, message_id: UUID) -> None:
        super().__init__(
            f"There is no message {message_id}; sitin webhook messages shows a team's, and old "
            "ones are pruned."
        )


class NotAddressedError(OperatorError):
    """A message is to be sent again where it never went."""

    def __init__(self, message_id: UUID, endpoint_id: UUID | None) -> None:
        whom = "any webhook endpoint" if endpoint_id is None else f"webhook endpoint {endpoint_id}"
        super().__init__(
            f"Message {message_id} was not addressed to {whom}: only an endpoint that had it gets "
            "it again."
        )


class EndpointDisabledError(OperatorError):
    """A message is to be sent again to endpoints that get nothing now."""

    def __init__(self, message_id: UUID) -> None:
        super().__init__(
            f"Message {message_id} went to endpoints only that are disabled or deleted now: enable "
            "one with sitin webhook update ID --enable."
        )


def disabled_reason(days: int, since: datetime) -> str:
    """Why the service disabled an endpoint by itself, for a person."""
    return f"Not one delivery succeeded in {days} days, since {iso(since)}."
