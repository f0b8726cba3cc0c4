"""The webhooks about calendars, for the API's document: what is sent, not what is answered."""

from fastapi import APIRouter

from sitin.calendars import schemas

router = APIRouter(tags=["Webhooks"])


@router.post("calendar.connection_created", operation_id="calendarConnectionCreated")
async def connection_created(body: schemas.CalendarWebhookConnectionCreated) -> None:
    """A calendar was connected."""


@router.post("calendar.connection_updated", operation_id="calendarConnectionUpdated")
async def connection_updated(body: schemas.CalendarWebhookConnectionUpdated) -> None:
    """A connection stands otherwise than before, or has other credentials."""


@router.post("calendar.connection_error", operation_id="calendarConnectionError")
async def connection_error(body: schemas.CalendarWebhookConnectionError) -> None:
    """A calendar cannot be read; it may pass."""


@router.post("calendar.connection_deleted", operation_id="calendarConnectionDeleted")
async def connection_deleted(body: schemas.CalendarWebhookConnectionDeleted) -> None:
    """A calendar was disconnected."""


@router.post("calendar.events_synced", operation_id="calendarEventsSynced")
async def events_synced(body: schemas.CalendarWebhookEventsSynced) -> None:
    """The first sync of a connection has ended."""


@router.post("calendar.event_created", operation_id="calendarEventCreated")
async def event_created(body: schemas.CalendarWebhookEventCreated) -> None:
    """Events of a series have appeared."""


@router.post("calendar.event_updated", operation_id="calendarEventUpdated")
async def event_updated(body: schemas.CalendarWebhookEventUpdated) -> None:
    """Events of a series have changed."""


@router.post("calendar.event_cancelled", operation_id="calendarEventCancelled")
async def event_cancelled(body: schemas.CalendarWebhookEventCancelled) -> None:
    """Events of a series do not take place any more."""
