"""A worker in a process of its own that syncs calendars, for being killed.

``python -m … DATABASE_URL SECRET_KEY NOW``, with the providers' addresses in the environment.
"""

import asyncio
import sys
from contextlib import aclosing
from datetime import datetime, timedelta

from sitin.accounts.ledger import Ledger
from sitin.accounts.plans import Plans
from sitin.bots.configuration import Configurations
from sitin.cli.calendars import furnish_calendars
from sitin.cli.installation import Installation, address_check
from sitin.cli.settings import Settings, calendar_settings
from sitin.jobs.queue import PostgresJobs
from sitin.jobs.worker import Worker
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.rehearsal.calendars.clock import MovableClock


async def main(url: str, key: str, now: str) -> None:
    clock = MovableClock(datetime.fromisoformat(now), standing=True)
    keyring, jobs = Keyring([key]), PostgresJobs()
    async with aclosing(OutgoingClient()) as outgoing:
        calendars = furnish_calendars(
            Installation(Settings(), Database(url), keyring, clock, outgoing, Plans(), None),
            build_calendar_providers(calendar_settings(), clock=clock).by_platform,
            configurations=Configurations(keyring=keyring, check_address=address_check(outgoing)),
            ledger=Ledger(clock),
            jobs=jobs,
            public_url="http://127.0.0.1:9",
        )
        await Worker(
            url,
            [calendars.sync.handler()],
            heartbeat=timedelta(seconds=2),
            poll=timedelta(seconds=0.5),
        ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
