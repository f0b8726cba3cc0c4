"""Errors of calendars, as the API shows them and as the room's own callers see them."""

from enum import StrEnum
from uuid import UUID

from sitin.contract.calendars import AccessRefusedError, CalendarGoneError, ConnectionStatus
from sitin.kit.errors import SitinError


class CalendarNotFoundError(SitinError):
    """No connection of this team has this id."""

    code = "FST_ERR_CALENDAR_NOT_FOUND"
    status = 404
    title = "Not Found"

    def __init__(self, calendar_id: UUID) -> None:
        super().__init__(f"Your team has no calendar connection with the id '{calendar_id}'.")


class EventNotFoundError(SitinError):
    """The calendar has no event with this id."""

    code = "FST_ERR_EVENT_NOT_FOUND"
    status = 404
    title = "Not Found"

    def __init__(self, event_id: UUID) -> None:
        super().__init__(f"This calendar has no event with the id '{event_id}'.")


class SeriesNotFoundError(SitinError):
    """The calendar has no series with this id."""

    code = "FST_ERR_EVENT_SERIES_NOT_FOUND"
    status = 404
    title = "Not Found"

    def __init__(self, series_id: UUID) -> None:
        super().__init__(f"This calendar has no event series with the id '{series_id}'.")


class CalendarBotNotFoundError(SitinError):
    """No bot is scheduled where one was to be changed."""

    code = "FST_ERR_CALENDAR_BOT_NOT_FOUND"
    status = 404
    title = "Not Found"

    def __init__(self, what: str, which: UUID) -> None:
        super().__init__(f"No bot is scheduled for the {what} '{which}'.")


class CalendarExistsError(SitinError):
    """The team has connected this calendar already."""

    code = "FST_ERR_CALENDAR_ALREADY_EXISTS"
    status = 409
    title = "Conflict"

    def __init__(self) -> None:
        # Does not quote the id, which may be an e-mail address: an answer may be stored.
        super().__init__(
            "raw_calendar_id: your team has a connection to this calendar already; change that one "
            "with PATCH, or delete it first."
        )


class ConnectionLimitError(SitinError):
    """The plan allows no further connection."""

    code = "FST_ERR_FORBIDDEN"
    status = 403
    title = "Forbidden"

    def __init__(self, plan: str, limit: int) -> None:
        super().__init__(
            f"The plan {plan} allows {limit} calendar connections, and your team has as many; "
            "delete one, or change the plan."
        )


class AccessTokenError(SitinError):
    """The provider does not accept the credentials."""

    code = "FST_ERR_CALENDAR_UNAUTHORIZED"
    status = 401
    title = "Unauthorized"


class AccessDeniedError(SitinError):
    """The credentials are good and do not allow this."""

    code = "FST_ERR_FORBIDDEN"
    status = 403
    title = "Forbidden"


class RawCalendarNotFoundError(SitinError):
    """The account has no such calendar."""

    code = "FST_ERR_CALENDAR_NOT_FOUND"
    status = 404
    title = "Not Found"


class ProviderUnavailableError(SitinError):
    """The provider did not answer, or not in a way that can be understood.

    A 500, because the contract knows no other status for it here; with a code of its own, because
    it was foreseen, nothing is wrong in this service, and the same request may work later.
    """

    code = "FST_ERR_CALENDAR_PROVIDER"
    status = 500
    title = "Internal Server Error"


class CalendarBotLockedError(SitinError):
    """The event's bot joins too soon to be changed, or has gone already."""

    code = "FST_ERR_BOT_STATUS"
    status = 409
    title = "Conflict"


def refusal_of(error: AccessRefusedError) -> SitinError:
    """What the API says when a provider refuses."""
    if isinstance(error, CalendarGoneError):
        return RawCalendarNotFoundError(error.message)
    if error.status is ConnectionStatus.PERMISSION_DENIED:
        return AccessDeniedError(error.message)
    return AccessTokenError(error.message)


class SyncOvertakenError(Exception):
    """Another sync of the calendar has taken over; this one may write nothing any more."""


class EventRefusal(StrEnum):
    """Why an event gets no bot; the codes beside the events that got one."""

    BOT_ALREADY_SCHEDULED = "BOT_ALREADY_SCHEDULED"
    EVENT_CANCELLED = "EVENT_CANCELLED"
    EVENT_ALREADY_STARTED = "EVENT_ALREADY_STARTED"
    NOT_A_MEETING = "NOT_A_MEETING"
    MEETING_URL_NOT_FOUND = "MEETING_URL_NOT_FOUND"
    INVALID_MEETING_PLATFORM = "INVALID_MEETING_PLATFORM"


class EventRefusedError(SitinError):
    """Why it does not work for one event."""

    status = 409
    title = "Conflict"

    def __init__(self, code: EventRefusal, message: str) -> None:
        super().__init__(message)
        self.code = code
