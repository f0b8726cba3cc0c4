"""Brings a stored payload up to the moment it is sent. Handed to notifications by cli.

The reason is in ``payloads``: links live four hours, and a delivery may be late.
"""

from typing import Any

from sitin.bots.models import Bot
from sitin.bots.service import Bots
from sitin.kit.clock import Clock, iso
from sitin.kit.database import Database
from sitin.notifications.events import EventType
from sitin.notifications.store import Taken

_SENT_AT = frozenset({EventType.BOT_COMPLETED, EventType.BOT_FAILED})


class FreshPayloads:
    """Implements ``sitin.notifications.sending.Refresh``."""

    def __init__(self, *, database: Database, bots: Bots, clock: Clock) -> None:
        self._database = database
        self._bots = bots
        self._clock = clock

    async def __call__(self, taken: Taken) -> dict[str, Any]:
        """The payload's ``data`` as it is true now."""
        if taken.event not in _SENT_AT:
            return taken.data
        data = taken.data | {"sent_at": iso(self._clock.now())}
        if taken.event == EventType.BOT_COMPLETED:
            async with self._database.transaction() as session:
                bot = await session.get_one(Bot, taken.bot_id)
                data |= await self._bots.links(session, bot)
                data["data_deleted"] = bot.artifacts_deleted
        return data
