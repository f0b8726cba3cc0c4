"""The token ledger: totals and lines agree whatever happens, and nothing rewrites a line."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.errors import InsufficientTokensError, UnknownTeamError
from sitin.accounts.ledger import Ledger
from sitin.accounts.models import EntryKind, TokenAccount, TokenEntry
from sitin.accounts.service import create_team
from sitin.kit.clock import SystemClock
from sitin.kit.database import Database
from sitin.kit.ids import new_id

pytestmark = pytest.mark.db

HALF = Decimal("0.5")


async def sums(session: AsyncSession, team_id: UUID) -> dict[EntryKind, Decimal]:
    """What the lines of a team add up to, by kind."""
    rows = await session.execute(
        select(TokenEntry.kind, func.sum(TokenEntry.amount))
        .where(TokenEntry.team_id == team_id)
        .group_by(TokenEntry.kind)
    )
    added = {EntryKind(kind): amount for kind, amount in rows}
    return {kind: added.get(kind, Decimal(0)) for kind in EntryKind}


@dataclass
class Model:
    """What the account should say."""

    granted: Decimal = Decimal(0)
    consumed: Decimal = Decimal(0)
    held: dict[UUID, Decimal] = field(default_factory=dict)

    @property
    def available(self) -> Decimal:
        return self.granted - self.consumed - sum(self.held.values(), Decimal(0))


Step = tuple[str, Decimal]

steps = st.lists(
    st.tuples(
        st.sampled_from(["grant", "begin", "end", "end without beginning"]),
        st.decimals("0", "30", places=6),
    ),
    max_size=25,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_totals_and_lines_agree(database_url: str, steps: list[Step]) -> None:
    asyncio.run(_walk(database_url, steps))


async def _walk(url: str, steps: list[Step]) -> None:
    database, ledger, model = Database(url, pool_size=1), Ledger(SystemClock()), Model()
    try:
        async with database.transaction() as session:
            team_id = (await create_team(session, name="Property")).id
        for what, amount in steps:
            async with database.transaction() as session:
                await _step(session, ledger, team_id, model, what, amount)
            async with database.transaction() as session:
                account = await ledger.lock(session, team_id)
                added = await sums(session, team_id)
            assert account.granted == added[EntryKind.GRANT] == model.granted
            assert account.consumed == added[EntryKind.CONSUME] == model.consumed
            assert account.reserved == added[EntryKind.RESERVE] - added[EntryKind.RELEASE]
            assert account.reserved == sum(model.held.values(), Decimal(0))
            assert account.available == model.available
    finally:
        await database.dispose()


async def _step(
    session: AsyncSession,
    ledger: Ledger,
    team_id: UUID,
    model: Model,
    what: str,
    amount: Decimal,
) -> None:
    if what == "grant" and amount:
        await ledger.grant(session, team_id, amount)
        model.granted += amount
    elif what == "begin":
        account, bot_id = await ledger.lock(session, team_id), new_id()
        if model.available < HALF:
            with pytest.raises(InsufficientTokensError):
                await ledger.reserve(session, account, [bot_id])
        else:
            await ledger.reserve(session, account, [bot_id])
            model.held[bot_id] = HALF
    elif what == "end" and model.held:
        bot_id, _ = model.held.popitem()
        await ledger.settle(session, team_id, bot_id, {"recording": amount})
        model.consumed += amount
    elif what == "end without beginning":
        # A bot of a team that was on a plan without tokens when it began.
        await ledger.settle(session, team_id, new_id(), {"recording": amount})
        model.consumed += amount


async def _team(database: Database, granted: str) -> tuple[UUID, Ledger]:
    ledger = Ledger(SystemClock())
    async with database.transaction() as session:
        team = await create_team(session, name="Acme")
        await ledger.grant(session, team.id, Decimal(granted), note="to begin with")
    return team.id, ledger


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE token_entries SET amount = 1000",
        "DELETE FROM token_entries",
        "TRUNCATE token_entries",
    ],
)
async def test_no_line_is_changed_or_removed(database: Database, statement: str) -> None:
    await _team(database, "5")
    with pytest.raises(IntegrityError, match="only ever added to"):
        async with database.transaction() as session:
            await session.execute(text(statement))


async def test_a_bot_settles_once(database: Database) -> None:
    team_id, ledger = await _team(database, "5")
    bot_id = new_id()
    async with database.transaction() as session:
        account = await ledger.lock(session, team_id)
        await ledger.reserve(session, account, [bot_id])
    used = {"recording": Decimal("0.25"), "transcription": Decimal("0.0625")}
    async with database.transaction() as session:
        await ledger.settle(session, team_id, bot_id, used)
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await ledger.settle(session, team_id, bot_id, used)
    async with database.transaction() as session:
        account = await ledger.lock(session, team_id)
        lines = await ledger.entries(session, team_id, limit=10)
    assert (account.balance, account.available) == (Decimal("4.6875"), Decimal("4.6875"))
    assert [line.kind for line in lines] == ["consume", "release", "reserve", "grant"]
    assert lines[0].parts == {"recording": "0.250000", "transcription": "0.062500"}
    assert lines[-1].note == "to begin with"


async def test_reserving_for_more_than_there_is_holds_nothing(database: Database) -> None:
    team_id, ledger = await _team(database, "1.2")
    async with database.transaction() as session:
        account = await ledger.lock(session, team_id)
        with pytest.raises(InsufficientTokensError, match=r"needs 0\.5 tokens.*1\.2 available"):
            await ledger.reserve(session, account, [new_id() for _ in range(3)])
        assert ledger.affordable(account) == 2
    async with database.transaction() as session:
        assert (await session.get_one(TokenAccount, team_id)).reserved == 0


async def test_an_unknown_team_has_no_account(database: Database) -> None:
    with pytest.raises(UnknownTeamError):
        async with database.transaction() as session:
            await Ledger(SystemClock()).grant(session, new_id(), Decimal(1))
