"""A rehearsal that stands at a known moment, with accounts, and clients for it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from tests.google_discovery import GoogleJudge
from tests.rehearsal.calendars.asking import GoogleClient, GraphClient

NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)
"""A Saturday, eight days before Europe's clocks go forward."""


@pytest.fixture
async def cal() -> AsyncIterator[CalendarRehearsal]:
    """A rehearsal whose clock stands; every Google answer of the test is held against Google's
    own description."""
    judge = GoogleJudge()
    async with CalendarRehearsal(at=NOW, standing=True) as rehearsal:
        rehearsal.pushes.retry_delays = ()
        rehearsal.google.observers.append(judge)
        yield rehearsal
    assert judge.complaints == []


@pytest.fixture
def ada(cal: CalendarRehearsal) -> Account:
    """An account at Google."""
    return cal.google.account("ada@example.com", name="Ada Martin", zone="Europe/Paris")


@pytest.fixture
async def google(cal: CalendarRehearsal, ada: Account) -> AsyncIterator[GoogleClient]:
    """A client with Ada's access token."""
    async with GoogleClient(cal.google, ada) as client:
        yield client


@pytest.fixture
def mia(cal: CalendarRehearsal) -> Account:
    """An account at Microsoft."""
    return cal.microsoft.account("mia@contoso.com", name="Mia Sanz", zone="Europe/Paris")


@pytest.fixture
async def graph(cal: CalendarRehearsal, mia: Account) -> AsyncIterator[GraphClient]:
    """A client with Mia's access token."""
    async with GraphClient(cal.microsoft, mia) as client:
        yield client
