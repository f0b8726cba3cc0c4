"""Teams and API keys: make, look up, check, revoke. Used by routes and commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.errors import (
    ForbiddenError,
    TeamNameError,
    UnauthorizedError,
    UnknownKeyError,
    UnknownTeamError,
)
from sitin.accounts.models import LONGEST_NAME, ApiKey, Permission, Team, TokenAccount
from sitin.accounts.permissions import allows
from sitin.accounts.plans import UNLIMITED, Plan, Plans
from sitin.kit.crypto import hash_api_key, new_api_key
from sitin.kit.texts import is_blank

KEY_HEADER = "x-meeting-baas-api-key"
_LAST_USED_EXACT_TO = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the team behind a key and what the key may do."""

    team_id: UUID
    permission: Permission
    plan: Plan
    key_id: UUID | None = None
    """The API key; ``None`` where this service itself acts for the team."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``text`` is not stored anywhere."""

    id: UUID
    text: str


async def create_team(session: AsyncSession, *, name: str, plan: str = UNLIMITED) -> Team:
    """Make a team without keys and tokens, on the plan of this name. Raises ``TeamNameError``."""
    check_name(name)
    team = Team(name=name, plan=plan)
    session.add(team)
    await session.flush()
    session.add(TokenAccount(team_id=team.id))
    await session.flush()
    return team


def check_name(name: str) -> None:
    """Raise ``TeamNameError`` for a name that no team can have."""
    if len(name) > LONGEST_NAME or not name.isprintable() or is_blank(name):
        raise TeamNameError(LONGEST_NAME)


async def teams(session: AsyncSession) -> Sequence[tuple[Team, TokenAccount]]:
    """Every team with its tokens, oldest first."""
    query = (
        select(Team, TokenAccount)
        .join(TokenAccount, TokenAccount.team_id == Team.id)
        .order_by(Team.created_at, Team.id)
    )
    return [(team, account) for team, account in await session.execute(query)]


async def plans_in_use(session: AsyncSession) -> Sequence[str]:
    """The names of the plans that teams are on."""
    return (await session.scalars(select(Team.plan).distinct())).all()


async def plan_names(session: AsyncSession, team_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The name of each team's plan."""
    rows = await session.execute(select(Team.id, Team.plan).where(Team.id.in_(team_ids)))
    return {row.id: row.plan for row in rows}


async def team_named(session: AsyncSession, name: str) -> Team | None:
    """The oldest team of this name."""
    query = select(Team).where(Team.name == name).order_by(Team.created_at).limit(1)
    return (await session.scalars(query)).one_or_none()


async def require_team(session: AsyncSession, team_id: UUID) -> Team:
    """The team. Raises ``UnknownTeamError``."""
    team = await session.get(Team, team_id)
    if team is None:
        raise UnknownTeamError(
            f"There is no team {team_id}: `sitin team create` makes one and prints its id."
        )
    return team


async def create_key(session: AsyncSession, *, team_id: UUID, permission: Permission) -> NewKey:
    """Make a key of a team. Raises ``UnknownTeamError``."""
    await require_team(session, team_id)
    text = new_api_key()
    key = ApiKey(team_id=team_id, hash=hash_api_key(text), permission=permission)
    session.add(key)
    await session.flush()
    return NewKey(id=key.id, text=text)


async def keys_of(session: AsyncSession, team_id: UUID) -> Sequence[ApiKey]:
    """A team's keys, oldest first, revoked ones too."""
    query = select(ApiKey).where(ApiKey.team_id == team_id).order_by(ApiKey.created_at, ApiKey.id)
    return (await session.scalars(query)).all()


async def revoke_key(session: AsyncSession, key_id: UUID, *, now: datetime) -> ApiKey:
    """Let a key open nothing any more; doing it again changes nothing. Raises ``UnknownKeyError``.

    Requests that were let in before go on to their end.
    """
    statement = (
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, now))
        .returning(ApiKey)
    )
    key = (await session.scalars(statement)).one_or_none()
    if key is None:
        raise UnknownKeyError(f"There is no API key {key_id}: `sitin key list` shows a team's.")
    return key


async def authenticate(
    session: AsyncSession, key: str | None, *, operation_id: str, plans: Plans, now: datetime
) -> Caller:
    """Who calls with this key. Raises ``UnauthorizedError`` or ``ForbiddenError``."""
    if not key:
        raise UnauthorizedError(f"Send your API key in the header {KEY_HEADER}.")
    query = (
        select(ApiKey.id, ApiKey.team_id, ApiKey.permission, ApiKey.last_used_at, Team.plan)
        .join(Team, Team.id == ApiKey.team_id)
        .where(ApiKey.hash == hash_api_key(key), ApiKey.revoked_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise UnauthorizedError("This API key is not known here, or it has been revoked.")
    permission = Permission(row.permission)
    if not allows(permission, operation_id):
        raise ForbiddenError(
            "This API key may only create bots; use a key with full access for anything else."
        )
    if row.last_used_at is None or row.last_used_at < now - _LAST_USED_EXACT_TO:
        await _note_use(session, row.id, now)
    return Caller(row.team_id, permission, plans.of(row.plan), row.id)


async def _note_use(session: AsyncSession, key_id: UUID, now: datetime) -> None:
    # Guarded, so that of many requests in the same minute one writes and none waits for long.
    await session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(
                ApiKey.last_used_at.is_(None),
                ApiKey.last_used_at < now - _LAST_USED_EXACT_TO,
            ),
        )
        .values(last_used_at=now)
        .execution_options(synchronize_session=False)
    )
