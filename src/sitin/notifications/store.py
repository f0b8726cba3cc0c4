"""Queries over deliveries on their way: which are due, taking them, noting attempts.

Used within notifications. Many deliveries are taken, and many attempts noted, in one transaction.
Whoever waits for locks on several deliveries takes them by id (``lock_deliveries``), so that no two
wait for each other; whoever takes or gives up passes over what is locked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Double,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.kit.database import Base
from sitin.kit.ids import new_id
from sitin.notifications.errors import disabled_reason
from sitin.notifications.models import (
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Message,
    WebhookEndpoint,
)
from sitin.notifications.schedule import (
    DISABLE_AFTER,
    TIMEOUT,
    Outcome,
    in_window,
    next_attempt_at,
)

HOLD = TIMEOUT * 3
"""How long a taken delivery is left alone: more than an attempt and its bookkeeping may last."""

DISABLED = "The endpoint was disabled."
_TOO_LATE = "The next attempt would have been too late."
_MOST_AT_ONCE = 10_000
"""Deliveries that one statement gives up; more would take it longer than a statement may."""

# A loose index scan: two index probes per lane with something pending, however much is pending.
_DUE_LANES = text(
    """
    WITH RECURSIVE lanes AS (
        (SELECT team_id, lane FROM deliveries
         WHERE state = 'pending' ORDER BY team_id, lane LIMIT 1)
        UNION ALL
        SELECT following.team_id, following.lane
        FROM lanes CROSS JOIN LATERAL (
            SELECT team_id, lane FROM deliveries
            WHERE state = 'pending' AND (team_id, lane) > (lanes.team_id, lanes.lane)
            ORDER BY team_id, lane LIMIT 1) AS following
    )
    SELECT team_id, lane, due
    FROM lanes CROSS JOIN LATERAL (
        SELECT count(*) AS due FROM (
            SELECT 1 FROM deliveries
            WHERE state = 'pending' AND team_id = lanes.team_id AND lane = lanes.lane
                AND due_at <= :now
            LIMIT :most) AS counted) AS counts
    WHERE due > 0
    """
)

_TAKE = (
    text(
        """
    WITH places AS (
        SELECT * FROM unnest(:teams, :lanes, :counts) AS places (team_id, lane, free)
    ),
    oldest AS (
        SELECT due.id FROM places CROSS JOIN LATERAL (
            SELECT id FROM deliveries
            WHERE state = 'pending' AND team_id = places.team_id AND lane = places.lane
                AND due_at <= :now
            ORDER BY due_at LIMIT places.free
            FOR UPDATE SKIP LOCKED) AS due
    ),
    held AS (
        UPDATE deliveries
        SET due_at = :until, attempts = attempts + 1,
            first_attempt_at = coalesce(first_attempt_at, :now)
        FROM oldest WHERE deliveries.id = oldest.id
        RETURNING deliveries.*
    )
    SELECT held.id, held.team_id, held.lane, held.kind, held.attempts, held.first_attempt_at,
        held.endpoint_id, held.callback,
        message.id AS message_id, message.event, message.bot_id, message.data, message.extra,
        endpoint.url, endpoint.enabled,
        (SELECT array_agg(secret ORDER BY webhook_secrets.id DESC) FROM webhook_secrets
         WHERE webhook_secrets.endpoint_id = held.endpoint_id
            AND (expires_at IS NULL OR expires_at > :now)) AS secrets
    FROM held
    JOIN notification_messages AS message ON message.id = held.message_id
    LEFT JOIN webhook_endpoints AS endpoint ON endpoint.id = held.endpoint_id
    """
    )
    .bindparams(
        bindparam("teams", type_=ARRAY(Uuid)),
        bindparam("lanes", type_=ARRAY(Uuid)),
        bindparam("counts", type_=ARRAY(Integer)),
    )
    .columns(callback=JSONB, data=JSONB, extra=JSONB)
)

_rows = (
    func.jsonb_to_recordset(bindparam("rows", type_=JSONB))
    .table_valued(
        column("id", Uuid),
        column("delivery_id", Uuid),
        column("at", DateTime(timezone=True)),
        column("duration", Double),
        column("status", Integer),
        column("error", Text),
        column("answer", Text),
        column("attempt", Integer),
        column("state", Text),
        column("due_at", DateTime(timezone=True)),
    )
    .render_derived(name="noted", with_types=True)
)
_ERASED = Message.erased_at.is_not(None)
# Run once the deliveries are locked, so that it sees an erasure that was under way.
_ADD_ATTEMPTS = (
    insert(Base.metadata.tables[Attempt.__tablename__])
    .from_select(
        ["id", "delivery_id", "at", "duration", "status", "error", "answer"],
        select(
            _rows.c.id,
            _rows.c.delivery_id,
            _rows.c.at,
            _rows.c.duration,
            _rows.c.status,
            case((_ERASED, None), else_=_rows.c.error),
            case((_ERASED, None), else_=_rows.c.answer),
        )
        .join(Delivery, Delivery.id == _rows.c.delivery_id)
        .join(Message, Message.id == Delivery.message_id),
    )
    .on_conflict_do_nothing(index_elements=["id"])
)
_WITHOUT_SECRET = Delivery.callback.concat(cast({"secret": None}, JSONB))
# A success is one, whatever happened meanwhile. Of a failure whoever took the delivery again has
# counted it up and decides instead.
_DECIDE = (
    update(Delivery)
    .where(
        Delivery.id == _rows.c.delivery_id,
        or_(
            _rows.c.state == DeliveryState.DELIVERED,
            and_(Delivery.state == DeliveryState.PENDING, Delivery.attempts == _rows.c.attempt),
        ),
    )
    .values(
        state=_rows.c.state,
        due_at=func.coalesce(_rows.c.due_at, Delivery.due_at),
        failure=None,
        callback=case(
            (_rows.c.state == DeliveryState.PENDING, Delivery.callback), else_=_WITHOUT_SECRET
        ),
    )
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane with something due.

    Attributes:
        due: How much, as far as it was counted.
    """

    team_id: UUID
    lane: UUID
    due: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that this process works on, with all that a request needs."""

    id: UUID
    team_id: UUID
    lane: UUID
    kind: DeliveryKind
    attempt: int
    """1 for the first."""
    first_attempt_at: datetime
    message_id: UUID
    event: str
    bot_id: UUID | None
    data: dict[str, Any]
    extra: dict[str, Any] | None
    url: str
    method: str
    secrets: tuple[str, ...]
    """Encrypted, newest first: the endpoint's, or the callback's own if it has one."""
    endpoint_id: UUID | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to."""

    outcome: Outcome
    error: str | None = None
    """Why no answer came, in one sentence."""
    body: str | None = None
    """The beginning of the answer."""
    own_fault: bool = False
    """Whether the request was never made, for a reason that is not the receiver's."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that is over."""

    taken: Taken
    answer: Answer
    at: datetime
    """When it began."""
    seconds: float
    """How long it lasted."""
    id: UUID = field(default_factory=new_id)

    @property
    def ended(self) -> datetime:
        """When it ended."""
        return self.at + timedelta(seconds=self.seconds)


async def due_lanes(session: AsyncSession, *, now: datetime, most: int) -> list[DueLane]:
    """The lanes with something due, and how much of it, counted up to ``most``."""
    rows = await session.execute(_DUE_LANES, {"now": now, "most": most})
    return [DueLane(row.team_id, row.lane, row.due) for row in rows]


async def next_due(session: AsyncSession, *, after: datetime) -> datetime | None:
    """When the next delivery becomes due."""
    query = select(func.min(Delivery.due_at)).where(
        Delivery.state == DeliveryState.PENDING, Delivery.due_at > after
    )
    return await session.scalar(query)


async def take(
    session: AsyncSession, places: Sequence[tuple[DueLane, int]], *, now: datetime
) -> list[Taken]:
    """Take so many deliveries of each lane, those first that have been due longest.

    What another process holds is passed over. What may not be sent any more is given up.
    """
    rows = await session.execute(
        _TAKE,
        {
            "teams": [lane.team_id for lane, _ in places],
            "lanes": [lane.lane for lane, _ in places],
            "counts": [count for _, count in places],
            "now": now,
            "until": now + HOLD,
        },
    )
    taken = []
    for row in rows:
        # Disabling gives up what waits; what was published at that very moment it cannot see.
        if row.enabled is False:
            await _give_up(session, row.id, DISABLED)
            await give_up_waiting(session, row.team_id, row.lane)
        elif not in_window(row.first_attempt_at, now):
            await _give_up(session, row.id, _TOO_LATE)
        else:
            taken.append(_taken(row))
    return taken


def _taken(row: Any) -> Taken:
    callback = row.callback
    if callback is None:
        url, method, secrets = row.url, "POST", row.secrets or ()
    else:
        url, method = callback["url"], callback["method"]
        secrets = () if callback["secret"] is None else (callback["secret"],)
    return Taken(
        id=row.id,
        team_id=row.team_id,
        lane=row.lane,
        kind=DeliveryKind(row.kind),
        attempt=row.attempts,
        first_attempt_at=row.first_attempt_at,
        message_id=row.message_id,
        event=row.event,
        bot_id=row.bot_id,
        data=row.data,
        extra=row.extra,
        url=url,
        method=method,
        secrets=tuple(secrets),
        endpoint_id=row.endpoint_id,
    )


async def _give_up(session: AsyncSession, delivery_id: UUID, why: str) -> None:
    """Give up a delivery just taken, without the attempt that was counted for it."""
    await session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id)
        .values(
            state=DeliveryState.FAILED,
            failure=why,
            attempts=Delivery.attempts - 1,
            callback=_WITHOUT_SECRET,
        )
        .execution_options(synchronize_session=False)
    )


async def record(session: AsyncSession, attempts: Sequence[Attempted]) -> list[UUID]:
    """Note attempts and decide what becomes of their deliveries and endpoints.

    Noting one twice is noting it once. A delivery that is no more is passed over. Returns the
    endpoints that were disabled by it.
    """
    await lock_deliveries(session, Delivery.id.in_({one.taken.id for one in attempts}))
    rows = [_noted(one) for one in attempts]
    await session.execute(_ADD_ATTEMPTS, {"rows": rows})
    await session.execute(_DECIDE, {"rows": rows})
    return await _note_health(session, attempts)


def _noted(one: Attempted) -> dict[str, Any]:
    taken, answer = one.taken, one.answer
    again = None
    if not answer.outcome.delivered:
        again = next_attempt_at(
            taken.kind,
            taken.attempt,
            answer.outcome,
            first_at=taken.first_attempt_at,
            ended=one.ended,
        )
    if answer.outcome.delivered:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.FAILED if again is None else DeliveryState.PENDING
    return {
        "id": one.id,
        "delivery_id": taken.id,
        "at": one.at,
        "duration": one.seconds,
        "status": answer.outcome.status,
        "error": answer.error,
        "answer": answer.body,
        "attempt": taken.attempt,
        "state": state,
        "due_at": again,
    }


async def lock_deliveries(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Lock rows in the one order that everybody keeps who waits for several."""
    await session.execute(select(Delivery.id).where(which).order_by(Delivery.id).with_for_update())


async def _note_health(session: AsyncSession, attempts: Sequence[Attempted]) -> list[UUID]:
    """Start or reset the endpoints' clocks; disable those whose clock has run out."""
    tried = [
        one for one in attempts if one.taken.endpoint_id is not None and not one.answer.own_fault
    ]
    well = {one.taken.endpoint_id for one in tried if one.answer.outcome.delivered}
    ailing = {one.taken.endpoint_id for one in tried} - well
    since = WebhookEndpoint.failing_since
    change = update(WebhookEndpoint).execution_options(synchronize_session=False)
    if well:
        await session.execute(
            change.where(WebhookEndpoint.id.in_(well), since.is_not(None)).values(
                failing_since=None
            )
        )
    if not ailing:
        return []
    now = max(one.ended for one in tried)
    theirs = change.where(WebhookEndpoint.id.in_(ailing))
    await session.execute(theirs.where(since.is_(None)).values(failing_since=now))
    overdue = select(WebhookEndpoint).where(
        WebhookEndpoint.id.in_(ailing), WebhookEndpoint.enabled, since <= now - DISABLE_AFTER
    )
    found = (await session.scalars(overdue.with_for_update(key_share=True))).all()
    for endpoint in found:
        assert endpoint.failing_since is not None
        endpoint.enabled = False
        endpoint.disabled_reason = disabled_reason(DISABLE_AFTER.days, endpoint.failing_since)
        await give_up_waiting(session, endpoint.team_id, endpoint.id)
    return [endpoint.id for endpoint in found]


async def give_up_waiting(session: AsyncSession, team_id: UUID, endpoint_id: UUID) -> None:
    """Give up what waits for an endpoint that was disabled; where that is too much, begin with it.

    The rest, and what is under way, is given up when it comes due.
    """
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.team_id == team_id,
            Delivery.lane == endpoint_id,
            Delivery.state == DeliveryState.PENDING,
        )
        .limit(_MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte()
    )
    await session.execute(
        update(Delivery)
        .where(Delivery.id == waiting.c.id)
        .values(state=DeliveryState.FAILED, failure=DISABLED)
        .execution_options(synchronize_session=False)
    )
