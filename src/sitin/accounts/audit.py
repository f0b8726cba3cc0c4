"""The audit log: who changed which object when, and what came of it. Used by routing and cli.

An entry holds ids and codes only: nothing that customers wrote, and no secret. It is written in the
transaction of its change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Select, Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.models import ActorKind, AuditEntry
from sitin.kit.ids import new_id

SUCCEEDED = "succeeded"
PARTIAL = "partial"
"""Some items of a batch failed."""
FAILED = "failed"
"""All of them did, or a command did."""

_ENTRIES = cast("Table", AuditEntry.__table__)
_INSERT = _ENTRIES.insert()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that somebody made, or tried to make.

    Attributes:
        actor_kind: What ``actor`` names.
        actor: The id of an API key, or the operating system's user.
        action: The operation's id, or the command.
        team_id: Whose objects; ``None`` where the change is about the whole installation.
        object_ids: What was created, changed or deleted.
        outcome: ``SUCCEEDED``, ``PARTIAL``, ``FAILED`` or an error's code.
        client: The address of the request, or the host of the command.
        request_id: The request's id, as its answer and the log have it.
    """

    actor_kind: ActorKind
    actor: str
    action: str
    team_id: UUID | None = None
    object_ids: Sequence[UUID] = ()
    outcome: str = SUCCEEDED
    client: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are asked for; ``None`` sets no condition."""

    team_id: UUID | None = None
    actor: str | None = None
    action: str | None = None
    object_id: UUID | None = None
    since: datetime | None = None
    """Not earlier than this."""
    until: datetime | None = None
    """Earlier than this."""


async def record(session: AsyncSession, change: Change, *, at: datetime) -> None:
    """Add an entry in the caller's transaction."""
    await session.execute(
        _INSERT,
        {
            "at": at,
            "id": new_id(),
            "team_id": change.team_id,
            "actor_kind": change.actor_kind,
            "actor": change.actor,
            "action": change.action,
            "object_ids": list(change.object_ids),
            "outcome": change.outcome,
            "client": change.client,
            "request_id": change.request_id,
        },
    )


async def entries(session: AsyncSession, which: AuditFilter, *, limit: int) -> Sequence[AuditEntry]:
    """The newest entries of those asked for, newest first."""
    query = _filtered(select(AuditEntry), which)
    query = query.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit)
    return (await session.scalars(query)).all()


def _filtered(query: Select[AuditEntry], which: AuditFilter) -> Select[AuditEntry]:
    if which.team_id is not None:
        query = query.where(AuditEntry.team_id == which.team_id)
    if which.actor is not None:
        query = query.where(AuditEntry.actor == which.actor)
    if which.action is not None:
        query = query.where(AuditEntry.action == which.action)
    if which.object_id is not None:
        query = query.where(AuditEntry.object_ids.contains([which.object_id]))
    if which.since is not None:
        query = query.where(AuditEntry.at >= which.since)
    if which.until is not None:
        query = query.where(AuditEntry.at < which.until)
    return query


async def prune(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Delete the oldest entries that are older than ``before``; returns how many of ``limit``."""
    key = tuple_(AuditEntry.at, AuditEntry.id)
    old = (
        select(AuditEntry.at, AuditEntry.id)
        .where(AuditEntry.at < before)
        .order_by(AuditEntry.at, AuditEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = await session.scalars(
        delete(AuditEntry)
        .where(key.in_(old))
        .returning(AuditEntry.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())
