"""What the routes of bots, and of scheduled bots, have in common. Used by both."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel

from sitin.bots.errors import InvalidRequestError
from sitin.kit.paging import Cursor, CursorError
from sitin.kit.wire import (
    ErrorResponse,
    Id,
    OptionalQuery,
    TooManyRequestsResponse,
    ValidationErrorResponse,
)

E = TypeVar("E", bound=StrEnum)

WINDOW = timedelta(days=90)
"""How far filters by time reach."""

_LEEWAY = timedelta(minutes=1)
"""A client that counts ninety days itself may be a little off."""

_DOCUMENTED: dict[int, str] = {
    400: "A field is missing or wrong; the message names it.",
    401: "The API key is missing or unknown.",
    402: "Fewer tokens are left than this takes.",
    403: "The API key does not allow this.",
    404: "Your team has no bot with this id.",
    409: "The bot's status does not allow this.",
    429: "Too many requests, or too many bots within a day.",
    500: "Something went wrong inside the service.",
}


def errors(*statuses: int, writes: bool = False) -> dict[int | str, dict[str, Any]]:
    """What a document says about an operation's errors; one that writes may be told to slow down.

    An operation that answers 429 for a reason of its own names it among the statuses.
    """
    documented = {*statuses, 400, 401, 403, 500} | ({429} if writes else set())
    return {
        status: {"model": _body(status, statuses), "description": _DOCUMENTED[status]}
        for status in sorted(documented)
    }


def _body(status: int, own: tuple[int, ...]) -> type[BaseModel]:
    if status == 400:
        return ValidationErrorResponse
    return TooManyRequestsResponse if status == 429 and 429 not in own else ErrorResponse


BotId = Annotated[Id, Path(description="The bot's id.")]
PageSize = Annotated[
    int, Query(gt=0, le=250, json_schema_extra={"x-required": True}, description="Items per page.")
]
CursorText = Annotated[
    OptionalQuery,
    Query(description="`cursor` or `prev_cursor` of another page; a `-` before it reads backwards"),
]
BotNamePart = Annotated[OptionalQuery, Query(description="Part of the name; case is ignored.")]
BotIdPart = Annotated[OptionalQuery, Query(description="Part of the id; case is ignored.")]
UrlPart = Annotated[OptionalQuery, Query(description="Part of the address; case is ignored.")]
Platforms = Annotated[OptionalQuery, Query(description="zoom, meet or teams; several with commas.")]
PlatformAlias = Annotated[OptionalQuery, Query(include_in_schema=False)]


def choices(field: str, text: str | None, known: type[E]) -> tuple[E, ...]:
    """The members a comma list names, each once. Raises ``InvalidRequestError``."""
    names = dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in set(known):
            raise InvalidRequestError(
                field, f"{name!r} is none of {', '.join(known)} (several go with commas)."
            )
    return tuple(known(name) for name in names)


MOST_CONDITIONS = 50
"""Pairs in a filter by ``extra``: more than anybody asks for, and each is counted by a query."""


def conditions(text: str | None) -> tuple[tuple[str, str], ...]:
    """Read ``field:value,field2:value2``. Raises ``InvalidRequestError``."""
    parts = text.split(",") if text else []
    if len(parts) > MOST_CONDITIONS:
        raise InvalidRequestError(
            "extra", f"has {len(parts)} conditions and takes at most {MOST_CONDITIONS}."
        )
    conditions = []
    for part in parts:
        field, separator, value = part.partition(":")
        if not separator or not field.strip():
            raise InvalidRequestError(
                "extra", "must be like field:value or field:value,other:value."
            )
        conditions.append((field.strip(), value.strip()))
    return tuple(conditions)


def read_cursor(text: str | None) -> Cursor | None:
    """The place a cursor names. Raises ``InvalidRequestError``."""
    try:
        return Cursor.decode(text) if text else None
    except CursorError:
        raise bad_cursor() from None


def bad_cursor() -> InvalidRequestError:
    """What is wrong with a cursor of another list, or of none."""
    return InvalidRequestError(
        "cursor", "must be the cursor or prev_cursor of another page of this list."
    )


def check_within(
    field: str, moment: datetime | None, *, now: datetime, ahead: timedelta | None = None
) -> None:
    """Raise ``InvalidRequestError`` for a filter by a time that no list reaches.

    It may be ``WINDOW`` ago, and ``ahead`` from now where that is given.
    """
    if moment is None:
        return
    if moment < now - WINDOW - _LEEWAY:
        raise InvalidRequestError(field, f"must be within the last {WINDOW.days} days.")
    if ahead is not None and moment > now + ahead + _LEEWAY:
        reach = f"within {ahead.days} days from now" if ahead else "in the past"
        raise InvalidRequestError(field, f"must be {reach}.")
