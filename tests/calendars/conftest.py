"""An office for each platform."""

from collections.abc import AsyncIterator

import pytest

from sitin.contract.calendars import CalendarPlatform
from sitin.kit.database import Database
from sitin.rehearsal.calendars import CalendarRehearsal
from tests.calendars.office import NOW, Office, opened


@pytest.fixture(params=list(CalendarPlatform))
def platform(request: pytest.FixtureRequest) -> CalendarPlatform:
    """Each platform in turn."""
    chosen: CalendarPlatform = request.param
    return chosen


@pytest.fixture
async def office(platform: CalendarPlatform, database: Database) -> AsyncIterator[Office]:
    """An office whose account's calendar is empty and not connected yet."""
    async with (
        CalendarRehearsal(at=NOW, standing=True) as rehearsal,
        opened(rehearsal, database, platform) as office,
    ):
        yield office
