"""A worker in a process of its own that syncs calendars, for being killed.

``python -m … DATABASE_URL SECRET_KEY NOW``, with the providers' addresses in the environment.
"""

import asyncio
import sys
from contextlib import aclosing
from datetime import datetime

from sitin.accounts.ledger import Ledger
from sitin.accounts.plans import Plans
from sitin.bots.configuration import Configurations
from sitin.cli.calendars import furnish_calendars
from sitin.cli.installation import Installation, address_check
from sitin.cli.settings import Settings, calendar_settings
from sitin.jobs.queue import PostgresJobQueue
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.rehearsal.calendars.clock import MovableClock
from tests.jobs.workers import run_worker


async def main(url: str, key: str, now: str) -> None:
    clock = MovableClock(datetime.fromisoformat(now), standing=True)
    database = Database(url)
    keyring, jobs = Keyring([key]), PostgresJobQueue()
    async with aclosing(OutgoingClient()) as outgoing:
        calendars = furnish_calendars(
            Installation(Settings(), database, keyring, clock, outgoing, Plans(), None),
            build_calendar_providers(calendar_settings(), clock=clock).by_platform,
            configurations=Configurations(keyring=keyring, check_address=address_check(outgoing)),
            ledger=Ledger(clock),
            jobs=jobs,
            public_url="http://127.0.0.1:9",
        )
        await run_worker(database, calendars.sync.handler())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
