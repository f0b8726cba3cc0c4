"""Pages of long lists: a cursor that names a place, and works in both directions. For routes.

A cursor is the base64 of ``<key>``, where the key names the row a page begins or ends with. A
``-`` before it pages backwards. Clients treat it as opaque.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, tuple_
from sqlalchemy.orm import InstrumentedAttribute

T = TypeVar("T")


class CursorError(ValueError):
    """The text is no cursor of this list."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list and the direction to read from there."""

    key: str
    backwards: bool = False

    def encode(self) -> str:
        """The cursor as clients see it."""
        text = base64.urlsafe_b64encode(self.key.encode()).decode()
        return f"-{text}" if self.backwards else text

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Read a cursor; also one whose ``-`` was put inside the base64, as some clients do.

        Raises ``CursorError``.
        """
        backwards = text.startswith("-")
        key = _unbase64(text.lstrip("-"))
        if key.startswith("-"):
            backwards, key = True, _unbase64(key.lstrip("-"))
        return cls(key, backwards)


def _unbase64(text: str) -> str:
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise CursorError("no base64") from None


def time_key(moment: datetime, row_id: UUID) -> str:
    """The key of a row in a list ordered by time, then id."""
    return f"{moment.astimezone(UTC).isoformat()}::{row_id}"


def read_time_key(key: str) -> tuple[datetime, UUID]:
    """The time and id of ``time_key``. Raises ``CursorError``."""
    moment, separator, row_id = key.partition("::")
    try:
        read = datetime.fromisoformat(moment)
        if not separator or read.tzinfo is None:
            raise CursorError("no key of this list")
        return read.astimezone(UTC), UUID(row_id)
    except (ValueError, OverflowError):
        raise CursorError("no key of this list") from None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows in the list's order, and where the neighbours begin."""

    rows: Sequence[T]
    cursor: str | None
    """For the page after this one."""
    prev_cursor: str | None
    """For the page before this one."""


def page_of(
    rows: Sequence[T], *, limit: int, cursor: Cursor | None, key: Callable[[T], str]
) -> Page[T]:
    """The page made of up to ``limit + 1`` rows read from a cursor in its direction.

    The row beyond the limit only tells that the list goes on; rows read backwards come nearest
    first and are turned round.
    """
    more = len(rows) > limit
    rows = rows[:limit]
    backwards = cursor is not None and cursor.backwards
    if backwards:
        rows = rows[::-1]
    if not rows:
        return Page(rows, None, None)
    goes_on = more if not backwards else True
    came_from = more if backwards else cursor is not None
    return Page(
        rows,
        Cursor(key(rows[-1])).encode() if goes_on else None,
        Cursor(key(rows[0]), backwards=True).encode() if came_from else None,
    )


class Walk:
    """From where, and in which direction, a page of rows in order of a time and an id is read.

    Attributes:
        order: For ORDER BY.
        beyond: For WHERE: what lies beyond the cursor.

    Raises ``CursorError``.
    """

    def __init__(
        self,
        moment: ColumnElement[datetime] | InstrumentedAttribute[datetime],
        row_id: ColumnElement[UUID] | InstrumentedAttribute[UUID],
        cursor: Cursor | None,
        *,
        newest_first: bool,
    ) -> None:
        backwards = cursor is not None and cursor.backwards
        self._rising = rising = newest_first == backwards
        self.order = self.order_of(moment, row_id)
        self.beyond: tuple[ColumnElement[bool], ...] = ()
        if cursor is not None:
            place, there = tuple_(moment, row_id), tuple_(*read_time_key(cursor.key))
            self.beyond = (place > there if rising else place < there,)

    def order_of(
        self,
        moment: ColumnElement[datetime] | InstrumentedAttribute[datetime],
        row_id: ColumnElement[UUID] | InstrumentedAttribute[UUID],
    ) -> tuple[ColumnElement[Any], ...]:
        """The same order, by columns of what was read of the table."""
        if self._rising:
            return moment.asc(), row_id.asc()
        return moment.desc(), row_id.desc()
