"""Pages of long tables of bots, in order of a time, each read along an index. Used within bots.

Whatever is asked for, a page costs about the same among ten bots and among a million:

- by status and platform: one short read per combination, along the index that ends in the time;
- by a part of a name, id or address: by the index of three-letter pieces (``bot_texts``, with a
  function of the database of our own, because not every Postgres has pg_trgm); a part of one or
  two letters has no such piece and is looked for along the time, as are scheduled bots, which are
  few;
- by a field of ``extra``: along the index of pairs (``bot_extra_pairs``).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    cast,
    column,
    func,
    select,
    true,
    values,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from sitin.bots.models import BotTexts
from sitin.contract.codes import Platform
from sitin.kit.paging import Cursor, Page, Walk, page_of, time_key
from sitin.platforms.urls import LONGEST as LONGEST_URL

T = TypeVar("T")

Conditions = Sequence[ColumnElement[bool]]

_PIECE = 3
"""Letters."""

_LONGEST = (255, 36, LONGEST_URL)
"""Characters of a name, an id and a meeting's address, in the order of ``TextParts``."""

_NEAR = 2000
"""Rows looked at along the time before the index of pieces is asked."""


class TextParts(NamedTuple):
    """Parts of texts, case ignored; ``None`` where any will do."""

    name: str | None = None
    id: str | None = None
    url: str | None = None

    def fit(self) -> bool:
        """Whether each may be in its text; none is in a text shorter than itself."""
        return all(len(part or "") <= longest for part, longest in zip(self, _LONGEST, strict=True))


ANYTHING = TextParts()


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """A table that is listed by a time.

    Attributes:
        moment: The time; the id decides among those of one moment.
        statuses: All there are.
        newest_first: The list's own order.
        has_pieces: Whether its texts are in ``bot_texts``.
    """

    model: Any
    moment: InstrumentedAttribute[datetime]
    statuses: Sequence[str]
    newest_first: bool
    has_pieces: bool = False


async def read_page(
    session: AsyncSession,
    source: Source[T],
    conditions: Conditions,
    *,
    statuses: Sequence[str],
    platforms: Sequence[Platform],
    parts: TextParts,
    limit: int,
    cursor: Cursor | None,
) -> Page[T]:
    """A page of the rows that meet everything given. Raises ``CursorError``."""
    walk = Walk(source.moment, source.model.id, cursor, newest_first=source.newest_first)
    base = [*conditions, *walk.beyond]

    async def read(query: Select[Any]) -> Sequence[Any]:
        return (await session.scalars(query.limit(limit + 1))).all()

    if not parts.fit():
        # The database would take every piece of them, which costs by their length.
        rows: Sequence[Any] = ()
    elif any(parts):
        rows = await _containing(read, source, base, walk, statuses, platforms, parts, limit)
    elif statuses or platforms:
        rows = await read(
            _by_combination(
                source, base, walk, statuses or source.statuses, platforms or list(Platform), limit
            ).order_by(*walk.order)
        )
    else:
        rows = await read(select(source.model).where(*base).order_by(*walk.order))
    return page_of(rows, limit=limit, cursor=cursor, key=lambda row: _key(source, row))


async def _containing(
    read: Callable[[Select[Any]], Awaitable[Sequence[Any]]],
    source: Source[T],
    base: Conditions,
    walk: Walk,
    statuses: Sequence[str],
    platforms: Sequence[Platform],
    parts: TextParts,
    limit: int,
) -> Sequence[Any]:
    """Rows with these parts: among the next along the time, else by the index of pieces."""

    def wanted(model: Any) -> Conditions:
        conditions = contains(model, parts)
        if statuses:
            conditions.append(model.status.in_(statuses))
        if platforms:
            conditions.append(model.platform.in_(platforms))
        return conditions

    along = select(source.model).where(*base).order_by(*walk.order)
    pieces = found_by_pieces(source.model.id, parts) if source.has_pieces else ()
    if pieces:
        # What many have is soon found along the time, and among pieces it would be a long list.
        near = aliased(source.model, along.limit(_NEAR).subquery())
        order = walk.order_of(getattr(near, source.moment.key), near.id)
        rows = await read(select(near).where(*wanted(near)).order_by(*order))
        if len(rows) > limit:
            return rows
    return await read(along.where(*wanted(source.model), *pieces))


def _key(source: Source[T], row: Any) -> str:
    return time_key(getattr(row, source.moment.key), row.id)


def _by_combination(
    source: Source[T],
    conditions: Conditions,
    walk: Walk,
    statuses: Sequence[str],
    platforms: Sequence[str],
    limit: int,
) -> Select[Any]:
    """The first rows of every combination of status and platform, of which the page is made."""
    wanted = values(column("status", String), column("platform", String), name="wanted").data(
        list(product(map(str, statuses), map(str, platforms)))
    )
    model = source.model
    first = (
        select(model.id)
        .where(*conditions, model.status == wanted.c.status, model.platform == wanted.c.platform)
        .order_by(*walk.order)
        .limit(limit + 1)
        .lateral("first")
    )
    ids = select(first.c.id).select_from(wanted.join(first, true()))
    return select(model).where(model.id.in_(ids))


def contains(model: Any, parts: TextParts) -> list[ColumnElement[bool]]:
    """That a row's texts contain these parts."""
    texts = (model.bot_name, cast(model.id, String), model.meeting_url)
    return [
        text.icontains(needle, autoescape=True)
        for text, needle in zip(texts, parts, strict=True)
        if needle
    ]


def found_by_pieces(bot_id: InstrumentedAttribute[UUID], parts: TextParts) -> Conditions:
    """That the index of pieces knows the parts of the bot; a help to ``contains``, no proof."""
    if all(len(needle or "") < _PIECE for needle in parts):
        return ()
    pieces = func.text_grams(
        BotTexts.bot_name, cast(BotTexts.bot_id, String), BotTexts.meeting_url, type_=ARRAY(String)
    )
    wanted = func.text_grams(*(needle or "" for needle in parts), type_=ARRAY(String))
    return (bot_id.in_(select(BotTexts.bot_id).where(pieces.contains(wanted))),)
