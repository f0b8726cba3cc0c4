"""Commands that change something: one transaction, with its entry in the audit log."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.audit import FAILED, SUCCEEDED, record
from sitin.cli.actors import change_by_command
from sitin.cli.console import with_installation
from sitin.cli.installation import Installation

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass
class CommandChange:
    """A change that a command is making; the command adds what it is about.

    Attributes:
        session: Its transaction.
        team_id: Whose objects; ``None`` where it is about the whole installation.
        object_ids: What is created, changed or deleted.
        outcome: What comes of it.
    """

    session: AsyncSession
    team_id: UUID | None = None
    object_ids: list[UUID] = field(default_factory=list)
    outcome: str = SUCCEEDED


def with_change(
    action: str,
    make: Callable[[Installation, CommandChange], Awaitable[T]],
    *,
    team_id: UUID | None = None,
    object_ids: Sequence[UUID] = (),
) -> T:
    """Run a command's work on the installation, in a transaction with its audit entry.

    Work that raises is rolled back and recorded as failed.

    Args:
        action: The command with its group, e.g. ``key revoke``.
        make: Does the work in the change's transaction.
        team_id: Whose objects, if it is known beforehand.
        object_ids: What it is about, as far as that is known beforehand.
    """

    async def work(install: Installation) -> T:
        async with install.database.transaction() as session:
            change = CommandChange(session, team_id, list(object_ids))
            result = await make(install, change)
            await _record(install, action, change)
        return result

    async def recorded(install: Installation) -> T:
        try:
            return await work(install)
        except Exception:
            await _note_failure(install, action, team_id, object_ids)
            raise

    return with_installation(recorded)


async def _record(install: Installation, action: str, change: CommandChange) -> None:
    entry = change_by_command(
        action,
        team_id=change.team_id,
        object_ids=list(dict.fromkeys(change.object_ids)),
        outcome=change.outcome,
    )
    await record(change.session, entry, at=install.clock.now())


async def _note_failure(
    install: Installation, action: str, team_id: UUID | None, object_ids: Sequence[UUID]
) -> None:
    try:
        async with install.database.transaction() as session:
            change = CommandChange(session, team_id, list(object_ids), FAILED)
            await _record(install, action, change)
    except (SQLAlchemyError, OSError):
        # The command fails by what it failed by.
        log.exception("audit_entry_lost", action=action)
