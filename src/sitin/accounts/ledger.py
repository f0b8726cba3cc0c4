"""The token ledger: what a team was granted, what its bots hold and what they used. Used by bots.

Entries are only ever added, and a trigger holds that. The totals stand in the team's account, whose
row lock is what makes a decision and its entry one: whoever wants to decide by what is available
takes the lock first and keeps it to the end of its transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.errors import GrantError, InsufficientTokensError, UnknownTeamError
from sitin.accounts.models import LARGEST_AMOUNT, EntryKind, TokenAccount, TokenEntry
from sitin.kit.clock import Clock

SMALLEST = Decimal("0.000001")
"""Tokens; what amounts are rounded to."""


class TokenRates(BaseModel):
    """What a bot costs, in tokens. The numbers are the public API's; ``SITIN_TOKEN_RATES``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reservation: Decimal = Field(Decimal("0.5"), ge=0)
    """Held back when a bot is queued, until it ends."""
    recording: Decimal = Field(Decimal(1), ge=0)
    """Per hour, by the second, as those below."""
    transcription: Decimal = Field(Decimal("0.25"), ge=0)
    transcription_own_key: Decimal = Field(Decimal("0.05"), ge=0)
    streaming_input: Decimal = Field(Decimal("0.1"), ge=0)
    streaming_output: Decimal = Field(Decimal("0.1"), ge=0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger, as commands show it."""

    at: datetime
    kind: EntryKind
    amount: Decimal
    bot_id: UUID | None
    parts: Mapping[str, str] | None
    note: str | None


class Ledger:
    """The accounts of all teams; every method joins the caller's transaction."""

    def __init__(self, clock: Clock, rates: TokenRates | None = None) -> None:
        self._clock = clock
        self.rates = rates or TokenRates()

    async def open(self, session: AsyncSession, team_id: UUID) -> None:
        """Give a new team its account."""
        session.add(TokenAccount(team_id=team_id))
        await session.flush()

    async def lock(self, session: AsyncSession, team_id: UUID) -> TokenAccount:
        """A team's account, held until the transaction ends. Raises ``UnknownTeamError``."""
        query = (
            select(TokenAccount)
            .where(TokenAccount.team_id == team_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        account = (await session.scalars(query)).one_or_none()
        if account is None:
            raise UnknownTeamError(f"There is no team {team_id}.")
        return account

    async def grant(
        self, session: AsyncSession, team_id: UUID, amount: Decimal, *, note: str | None = None
    ) -> TokenAccount:
        """Give a team tokens. Raises ``UnknownTeamError`` or ``GrantError``."""
        account = await self.lock(session, team_id)
        most = LARGEST_AMOUNT - account.granted
        if not amount.is_finite() or not SMALLEST <= amount <= most:
            raise GrantError(SMALLEST, most)
        amount = amount.quantize(SMALLEST)
        account.granted += amount
        await self._write(session, account, EntryKind.GRANT, {None: amount}, note=note)
        return account

    async def reserve(
        self, session: AsyncSession, account: TokenAccount, bot_ids: Sequence[UUID]
    ) -> None:
        """Hold back what each of these bots needs to begin; the account is locked.

        Raises ``InsufficientTokensError`` when that is more than is available, and holds nothing.
        """
        each = self.rates.reservation
        if account.available < each * len(bot_ids):
            raise InsufficientTokensError(available=account.available, needed=each)
        if each:
            account.reserved += each * len(bot_ids)
            await self._write(session, account, EntryKind.RESERVE, dict.fromkeys(bot_ids, each))

    def affordable(self, account: TokenAccount) -> int | None:
        """How many more bots the available tokens let begin; ``None`` when beginning is free."""
        if not self.rates.reservation:
            return None
        return max(0, int(account.available // self.rates.reservation))

    async def settle(
        self, session: AsyncSession, team_id: UUID, bot_id: UUID, parts: Mapping[str, Decimal]
    ) -> None:
        """Give back what a bot held and take what it used, by part; once per bot."""
        account = await self.lock(session, team_id)
        held = await session.scalar(
            select(TokenEntry.amount).where(
                TokenEntry.bot_id == bot_id, TokenEntry.kind == EntryKind.RESERVE
            )
        )
        if held is not None:
            account.reserved -= held
            await self._write(session, account, EntryKind.RELEASE, {bot_id: held})
        used = {name: amount.quantize(SMALLEST) for name, amount in parts.items() if amount}
        total = sum(used.values(), Decimal(0))
        if total:
            account.consumed += total
            shown = {name: str(amount) for name, amount in used.items()}
            await self._write(session, account, EntryKind.CONSUME, {bot_id: total}, parts=shown)

    async def _write(
        self,
        session: AsyncSession,
        account: TokenAccount,
        kind: EntryKind,
        amounts: Mapping[UUID, Decimal] | Mapping[None, Decimal],
        *,
        parts: dict[str, str] | None = None,
        note: str | None = None,
    ) -> None:
        now = self._clock.now()
        session.add_all(
            TokenEntry(
                team_id=account.team_id,
                kind=kind,
                amount=amount,
                bot_id=bot_id,
                parts=parts,
                note=note,
                at=now,
            )
            for bot_id, amount in amounts.items()
        )
        await session.flush()

    async def entries(self, session: AsyncSession, team_id: UUID, *, limit: int) -> list[Entry]:
        """The newest lines of a team's ledger, newest first."""
        query = (
            select(TokenEntry)
            .where(TokenEntry.team_id == team_id)
            .order_by(TokenEntry.id.desc())
            .limit(limit)
        )
        return [
            Entry(
                at=row.at,
                kind=EntryKind(row.kind),
                amount=row.amount,
                bot_id=row.bot_id,
                parts=row.parts,
                note=row.note,
            )
            for row in await session.scalars(query)
        ]
