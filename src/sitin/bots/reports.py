"""Reporting a bot's end again: to the team's webhooks, or to a callback. Used by the routes.

What is sent is built from the row as it is now, under a new message id; resending one stored
message by hand, which keeps its id, is an operator's command (``sitin webhook resend``).
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.bots.configuration import Configurations, check_secret
from sitin.bots.errors import (
    BotNotFoundError,
    BotStatusError,
    CallbackNotConfiguredError,
    NotTranscribedError,
)
from sitin.bots.lifecycle import final_payload
from sitin.bots.models import Bot
from sitin.bots.requests import CallbackConfig
from sitin.bots.statuses import FINAL
from sitin.bots.store import get
from sitin.kit.clock import Clock
from sitin.notifications.service import Callback, publish


class Reports:
    """Sends final reports again, in the caller's transaction."""

    def __init__(self, *, configurations: Configurations, clock: Clock) -> None:
        self._configurations = configurations
        self._clock = clock

    async def resend(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> None:
        """Send a bot's end to every endpoint of the team that wants it.

        Raises ``BotNotFoundError`` or ``BotStatusError``.
        """
        bot = await self._ended(session, caller, bot_id)
        await self._publish(session, bot, callback=None, to_endpoints=True)

    async def retry_callback(
        self, session: AsyncSession, caller: Caller, bot_id: UUID, given: CallbackConfig | None
    ) -> None:
        """Send a bot's end to its callback, or to the one given instead.

        Raises ``BotNotFoundError``, ``BotStatusError``, ``NotTranscribedError``,
        ``CallbackNotConfiguredError`` or ``InvalidRequestError``.
        """
        if given is not None:
            self._configurations.check_url("url", given.url)
            check_secret("secret", given.secret)
        bot = await self._ended(session, caller, bot_id)
        if not bot.transcription_enabled:
            raise NotTranscribedError(bot_id)
        if given is not None:
            callback = Callback(given.url, given.method, self._configurations.seal(given.secret))
        elif bot.callback_enabled and bot.callback_url is not None:
            callback = Callback(bot.callback_url, bot.callback_method, bot.callback_secret)
        else:
            raise CallbackNotConfiguredError(bot_id)
        await self._publish(session, bot, callback=callback, to_endpoints=False)

    async def _ended(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> Bot:
        bot = await get(session, caller.team_id, bot_id)
        if bot is None:
            raise BotNotFoundError(bot_id)
        if bot.status not in FINAL:
            raise BotStatusError(bot_id, bot.status)
        return bot

    async def _publish(
        self, session: AsyncSession, bot: Bot, *, callback: Callback | None, to_endpoints: bool
    ) -> None:
        now = self._clock.now()
        event, data = await final_payload(session, bot, at=now)
        await publish(
            session,
            team_id=bot.team_id,
            event=event,
            data=data,
            extra=bot.extra,
            at=now,
            bot_id=bot.id,
            callback=callback,
            to_endpoints=to_endpoints,
        )
