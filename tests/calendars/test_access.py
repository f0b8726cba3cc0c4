"""Access tokens: scenario 41 of the fact sheet, rotated refresh tokens and whoever wants one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from sitin.calendars.access import PATIENCE, Tokens
from sitin.calendars.errors import ProviderUnavailableError
from sitin.calendars.models import Credentials
from sitin.calendars.requests import UpdateCalendarConnectionRequestBody
from sitin.contract.calendars import CalendarPlatform, CalendarProvider, ConnectionStatus
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


async def test_other_credentials_that_prove_bad_lose_no_refresh_token(office: Office) -> None:
    connection_id = await office.connect()
    office.rehearsal.microsoft.old_refresh_tokens_die = True
    office.provider.fault("service_unavailable", "calendars.get", times=None)
    body = UpdateCalendarConnectionRequestBody(oauth_client_secret=office.provider.client.secret)
    with pytest.raises(ProviderUnavailableError):
        await office.calendars.connections.update(
            office.database.transaction, office.caller, connection_id, body
        )
    office.provider.faults.clear()
    office.rehearsal.clock.move(timedelta(hours=2))
    await office.sync()
    assert (await office.connection()).status == ConnectionStatus.ACTIVE


async def test_nothing_of_the_credentials_is_stored_in_the_clear(office: Office) -> None:
    await office.connect()
    async with office.database.transaction() as session:
        (row,) = (await session.scalars(select(Credentials))).all()
    client = office.provider.client
    texts = [row.client_id, row.client_secret, row.refresh_token, row.tenant_id, row.access_token]
    assert all(text is not None and text.startswith("gAAAA") for text in texts)
    assert not any(client.id in str(text) or client.secret in str(text) for text in texts)


async def test_nonsense_when_a_sync_is_asked_for_is_told_by_the_connection(office: Office) -> None:
    connection_id = await office.connect()
    office.provider.fault("html", "token", times=1)
    with pytest.raises(ProviderUnavailableError):
        await office.calendars.connections.sync(
            office.database.transaction, office.caller, connection_id
        )
    connection = await office.connection()
    assert connection.status == ConnectionStatus.ERROR
    assert connection.status_message == ("Microsoft Graph's answer is not what its API promises.")
    await office.calendars.connections.sync(
        office.database.transaction, office.caller, connection_id
    )
    await office.work()
    assert (await office.connection()).status == ConnectionStatus.ACTIVE


async def test_a_sync_that_is_asked_for_does_not_wait_for_a_retry(office: Office) -> None:
    connection_id = await office.connect()
    office.provider.fault("html", "delta", times=1)
    office.calendar.add("New", office.at(hours=2))
    await office.calendars.connections.sync(
        office.database.transaction, office.caller, connection_id
    )
    await office.work()
    assert (await office.connection()).status == ConnectionStatus.ERROR
    await office.calendars.connections.sync(
        office.database.transaction, office.caller, connection_id
    )
    await office.work()
    assert (await office.connection()).status == ConnectionStatus.ACTIVE
    assert [event.title for event in await office.events()] == ["New"]
