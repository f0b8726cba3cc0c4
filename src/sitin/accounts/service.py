"""Teams and API keys: make, look up, check. Used by routes and commands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.errors import ForbiddenError, UnauthorizedError, UnknownTeamError
from sitin.accounts.models import ApiKey, Permission, Team
from sitin.accounts.permissions import allows
from sitin.accounts.plans import Plan
from sitin.kit.crypto import hash_api_key, new_api_key

KEY_HEADER = "x-meeting-baas-api-key"
_LAST_USED_EXACT_TO = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the team behind a key and what the key may do."""

    team_id: UUID
    permission: Permission
    plan: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``text`` is not stored anywhere."""

    id: UUID
    text: str


async def create_team(session: AsyncSession, *, name: str, plan: Plan = Plan.UNLIMITED) -> Team:
    """Make a team without keys."""
    team = Team(name=name, plan=plan)
    session.add(team)
    await session.flush()
    return team


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


async def authenticate(
    session: AsyncSession, key: str | None, *, operation_id: str, now: datetime
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
    return Caller(team_id=row.team_id, permission=permission, plan=row.plan)


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
