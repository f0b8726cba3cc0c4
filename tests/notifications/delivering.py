"""A process that delivers until it is killed: ``python -m tests.notifications.delivering``.

With ``--stop-before-sending`` it takes what is due, and there it stays.
"""

import asyncio
import os
import sys
from typing import Any

from sitin.kit.clock import SystemClock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.kit.wakeups import Wakeups
from sitin.notifications.dispatch import Dispatcher
from sitin.notifications.sending import Sender
from sitin.notifications.store import Taken


async def refresh(taken: Taken) -> dict[str, Any]:
    if "--stop-before-sending" in sys.argv:
        await asyncio.Event().wait()
    return taken.data


async def main() -> None:
    database = Database(os.environ["TEST_DATABASE_URL"])
    clock, wakeups = SystemClock(), Wakeups(database.url)
    sender = Sender(
        client=OutgoingClient(allow_private=True),
        keyring=Keyring([os.environ["TEST_KEY"]]),
        clock=clock,
        refresh=refresh,
    )
    dispatcher = Dispatcher(database=database, sender=sender, wakeups=wakeups, clock=clock)
    await asyncio.gather(wakeups.run(), dispatcher.run())


if __name__ == "__main__":
    asyncio.run(main())
