"""How fast a team may write, over all processes of the API together. Used by ``routing``.

A bucket per team: it holds as many writes as the plan allows in a second, fills at that rate, and
each write takes one. The bucket is a row that one statement reads, fills and takes from, so that
any number of processes share it; the table is not logged, because a crash that fills every bucket
does no harm.
"""

import math
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.errors import TooManyRequestsError
from sitin.accounts.plans import Plan

_RATE = "CAST(:rate AS double precision)"
# A transaction that began earlier may come later; time never goes back for the bucket.
_PASSED = "greatest(0, CAST(extract(epoch FROM now() - bucket.at) AS double precision))"
_FILLED = f"least({_RATE}, bucket.level + {_RATE} * {_PASSED})"
_TAKE = text(
    f"""
    INSERT INTO write_buckets AS bucket (team_id, level, at)
    VALUES (:team_id, {_RATE} - 1, now())
    ON CONFLICT (team_id) DO UPDATE SET level = {_FILLED} - 1, at = greatest(bucket.at, now())
    WHERE {_FILLED} >= 1
    RETURNING level
    """  # noqa: S608 - made of constants
)
_LOOK = text(f"SELECT {_FILLED} FROM write_buckets AS bucket WHERE team_id = :team_id")  # noqa: S608


@dataclass(frozen=True, slots=True)
class WritesLeft:
    """What a team may still write at this moment.

    Attributes:
        limit: Writes a second, and in one burst.
        level: Writes left, with the part of the next one that has filled in already.
    """

    limit: int
    level: float

    @property
    def headers(self) -> dict[str, str]:
        """As the public API tells it; ``reset`` is in seconds from now, until all are back."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, math.floor(self.level))),
            "x-ratelimit-reset": str(math.ceil((self.limit - self.level) / self.limit)),
        }


async def take_write(session: AsyncSession, team_id: UUID, plan: Plan) -> WritesLeft | None:
    """Count one write of the team; ``None`` on a plan without a limit.

    The session's transaction has to end before the request's own begins: what was taken stays
    taken, and no other write of the team waits for this one. Raises ``TooManyRequestsError``.
    """
    if plan.writes_per_second is None:
        return None
    values = {"team_id": team_id, "rate": float(plan.writes_per_second)}
    level = await session.scalar(_TAKE, values)
    if level is not None:
        return WritesLeft(plan.writes_per_second, level)
    left = WritesLeft(plan.writes_per_second, await session.scalar(_LOOK, values) or 0.0)
    raise TooManyRequestsError(
        limit=left.limit,
        retry_after=max(1, math.ceil((1 - left.level) / left.limit)),
        headers=left.headers,
    )
