"""Microsoft's notices in our words. Used by the provider beside it only."""

from typing import Any
from uuid import UUID

from pydantic import ValidationError

from sitin.contract.calendars import Notice, NoticeKind
from sitin.providers.calendars.microsoft.wire import WireNotice, WireNotices

MOST_NOTICES = 1000

_LIFECYCLE = {
    "reauthorizationrequired": NoticeKind.RENEWAL_WANTED,
    "subscriptionremoved": NoticeKind.REMOVED,
    "missed": NoticeKind.MISSED,
}


def client_state(channel_id: UUID, secret: str) -> str:
    """What a subscription is made with, so that its notices tell whose they are."""
    return f"{channel_id}.{secret}"


def read_notices(body: bytes) -> tuple[Notice, ...]:
    """The notices of a batch that make sense. Raises ``ValueError`` for what is no batch."""
    try:
        batch = WireNotices.model_validate_json(body)
    except ValidationError:
        raise ValueError("a body without a list of notices is not Microsoft's") from None
    found = (_read(item) for item in batch.value[:MOST_NOTICES])
    return tuple(notice for notice in found if notice is not None)


def _read(item: Any) -> Notice | None:
    try:
        told = WireNotice.model_validate(item)
        channel, _, secret = told.client_state.partition(".")
        channel_id = UUID(channel)
    except ValueError:
        return None
    kind = NoticeKind.CHANGED
    if told.lifecycle_event is not None:
        # A kind that is not known yet: look at everything.
        kind = _LIFECYCLE.get(told.lifecycle_event.lower(), NoticeKind.MISSED)
    return Notice(channel_id=channel_id, secret=secret, kind=kind)
