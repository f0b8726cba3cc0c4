"""Access tokens: scenario 41 of the fact sheet, rotated refresh tokens and whoever wants one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from sitin.calendars.access import PATIENCE, Tokens
from sitin.calendars.models import Credentials
from sitin.contract.calendars import CalendarPlatform, CalendarProvider
from sitin.contract.failures import RetriableError
from sitin.kit.crypto import Keyring
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.calendars.settings import CalendarSettings
from tests.calendars.office import Office, at_microsoft
from tests.waiting import until

pytestmark = [pytest.mark.db, at_microsoft]

Providers = dict[CalendarPlatform, CalendarProvider]


@pytest.fixture
async def providers(office: Office) -> AsyncIterator[Providers]:
    """As another process has them; the old refresh token dies with each new one."""
    office.rehearsal.microsoft.old_refresh_tokens_die = True
    environment = office.rehearsal.environment
    settings = CalendarSettings.model_validate(
        {name.removeprefix("SITIN_").lower(): value for name, value in environment.items()}
    )
    built = build_calendar_providers(settings, clock=office.rehearsal.clock)
    yield dict(built.by_platform)
    await built.aclose()


def worker(office: Office, providers: Providers, *, patience: timedelta = PATIENCE) -> Tokens:
    """The tokens as another process has them."""
    return Tokens(
        database=office.database,
        keyring=Keyring([office.key]),
        providers=providers,
        clock=office.rehearsal.clock,
        patience=patience,
    )


async def stored(office: Office) -> str:
    """The refresh token on record."""
    async with office.database.transaction() as session:
        (row,) = (await session.scalars(select(Credentials))).all()
    return Keyring([office.key]).decrypt(row.refresh_token)


async def test_41_two_workers_refresh_once(office: Office, providers: Providers) -> None:
    connection_id = await office.connect()
    office.rehearsal.clock.move(timedelta(hours=2))
    before = len(office.provider.asked("token"))
    gate = office.provider.hold("token")
    wanting = [
        asyncio.create_task(worker(office, providers).access(connection_id, office.platform))
        for _ in range(2)
    ]
    await gate.reached()
    await until(office.somebody_waits)
    gate.open()
    first, second = await asyncio.gather(*wanting)
    assert first == second
    assert len(office.provider.asked("token")) == before + 1
    assert await stored(office) == office.account.refresh_token


async def test_41_whoever_asked_goes_away(office: Office, providers: Providers) -> None:
    connection_id = await office.connect()
    office.rehearsal.clock.move(timedelta(hours=2))
    old = await stored(office)
    gate = office.provider.hold("token")
    wanting = asyncio.create_task(worker(office, providers).access(connection_id, office.platform))
    await gate.reached()
    wanting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wanting
    gate.open()

    async def is_replaced() -> bool:
        return await stored(office) != old

    await until(is_replaced)
    assert await stored(office) == office.account.refresh_token


async def test_41_the_answer_is_lost(office: Office, providers: Providers) -> None:
    """As Entra has it, the old token lives on, and the newest survives."""
    office.rehearsal.microsoft.old_refresh_tokens_die = False
    connection_id = await office.connect()
    office.rehearsal.clock.move(timedelta(hours=2))
    office.provider.fault("service_unavailable", "token", afterwards=True, retry_after=30)
    tokens = worker(office, providers)
    with pytest.raises(RetriableError):
        await tokens.access(connection_id, office.platform)
    await tokens.access(connection_id, office.platform)
    assert await stored(office) == office.account.refresh_token


async def test_nobody_holds_the_row_for_long(office: Office, providers: Providers) -> None:
    office.rehearsal.microsoft.old_refresh_tokens_die = False
    connection_id = await office.connect()
    office.rehearsal.clock.move(timedelta(hours=2))
    gate = office.provider.hold("token")
    hasty = worker(office, providers, patience=timedelta(seconds=0.1))
    with pytest.raises(RetriableError, match="in time"):
        await hasty.access(connection_id, office.platform)
    assert not await office.somebody_waits()
    gate.open()
    await office.sync()
    assert (await office.connection()).status == "active"
