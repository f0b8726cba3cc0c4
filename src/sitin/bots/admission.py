"""Whether a bot may be queued now: the day's cap, the tokens, the lock on a meeting. Within bots.

The decision and what it counts are made under the lock of the team's token account, so that any
number of processes decide as if one did. A team without limits, whose bots may be several in a
meeting, is not locked at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.errors import InsufficientTokensError
from sitin.accounts.ledger import Ledger
from sitin.accounts.models import TokenAccount
from sitin.accounts.plans import Plan
from sitin.bots.errors import BotAlreadyExistsError, DailyBotCapError
from sitin.bots.models import Bot
from sitin.kit.clock import Clock
from sitin.kit.errors import SitinError

DAY = timedelta(hours=24)
MEETING_LOCK = timedelta(minutes=5)
"""How long a bot keeps others of its team out of its meeting, if they ask for that."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bot that is about to be queued."""

    bot_id: UUID
    joined_url: str
    allow_multiple_bots: bool


class Admission:
    """Decides, and reserves the tokens of those that are let in, in the caller's transaction."""

    def __init__(self, *, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def admit(
        self, session: AsyncSession, team_id: UUID, plan: Plan, candidate: Candidate
    ) -> None:
        """Let one bot in.

        Raises ``DailyBotCapError``, ``InsufficientTokensError`` or ``BotAlreadyExistsError``, in
        this order of precedence.
        """
        refused = await self.admit_all(session, team_id, plan, [candidate])
        if candidate.bot_id in refused:
            raise refused[candidate.bot_id]

    async def admit_all(
        self, session: AsyncSession, team_id: UUID, plan: Plan, candidates: Sequence[Candidate]
    ) -> dict[UUID, SitinError]:
        """Let in all that may, one after the other; returns why each of the others may not."""
        alone = [one.joined_url for one in candidates if not one.allow_multiple_bots]
        if plan.bots_per_day is None and not plan.counts_tokens and not alone:
            return {}
        account = await self._ledger.lock(session, team_id)
        now = self._clock.now()
        today = await self._created_today(session, team_id, plan, now)
        affordable = self._ledger.affordable(account) if plan.counts_tokens else None
        taken = await self._taken(session, team_id, alone, now)
        refused: dict[UUID, SitinError] = {}
        admitted: list[UUID] = []
        for one in candidates:
            if plan.bots_per_day is not None and today + len(admitted) >= plan.bots_per_day:
                refused[one.bot_id] = DailyBotCapError(today + len(admitted))
            elif affordable is not None and len(admitted) >= affordable:
                refused[one.bot_id] = self._poor(account, len(admitted))
            elif not one.allow_multiple_bots and one.joined_url in taken:
                refused[one.bot_id] = BotAlreadyExistsError()
            else:
                admitted.append(one.bot_id)
                taken.add(one.joined_url)
        if plan.counts_tokens and admitted:
            await self._ledger.reserve(session, account, admitted)
        return refused

    def _poor(self, account: TokenAccount, admitted: int) -> InsufficientTokensError:
        each = self._ledger.rates.reservation
        return InsufficientTokensError(available=account.available - admitted * each, needed=each)

    async def _created_today(
        self, session: AsyncSession, team_id: UUID, plan: Plan, now: datetime
    ) -> int:
        if plan.bots_per_day is None:
            return 0
        recent = (
            select(Bot.id)
            .where(Bot.team_id == team_id, Bot.created_at > now - DAY)
            .limit(plan.bots_per_day)
        )
        return await session.scalar(select(func.count()).select_from(recent.subquery())) or 0

    async def _taken(
        self, session: AsyncSession, team_id: UUID, urls: Sequence[str], now: datetime
    ) -> set[str]:
        """Those of the meetings that a bot of the team was queued for a moment ago."""
        if not urls:
            return set()
        recent = select(Bot.joined_url).where(
            Bot.team_id == team_id,
            Bot.created_at > now - MEETING_LOCK,
            Bot.joined_url.in_(set(urls)),
        )
        return set(await session.scalars(recent))
