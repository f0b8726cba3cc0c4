"""What the API does with scheduled bots: create, list, show, change, cancel. Used by the routes.

A scheduled bot can be changed while its time is at least ``LOCK`` away. Whoever changes it holds
its row; whoever queues what is due passes by rows that others hold.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.bots.configuration import PROVIDER, Configurations, meeting_columns
from sitin.bots.creation import in_batch, validated
from sitin.bots.errors import (
    BotNotEditableError,
    BotNotFoundError,
    BotStatusError,
    InvalidRequestError,
)
from sitin.bots.scheduled import schemas, store
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.requests import (
    CreateScheduledBotRequestBody,
    UpdateScheduledBotRequestBody,
)
from sitin.bots.schemas import BatchCreated, BatchError
from sitin.contract.codes import Platform, RecordingMode
from sitin.kit.clock import Clock
from sitin.kit.ids import new_id
from sitin.kit.paging import Cursor, Page
from sitin.kit.wakeups import Channel, wake

SOONEST = timedelta(minutes=1)
LATEST = timedelta(days=90)
LOCK = timedelta(minutes=4)
"""So long before its time a scheduled bot can no longer be changed."""


class ScheduledBots:
    """The scheduled bots of all teams; every method joins the caller's transaction."""

    def __init__(self, *, configurations: Configurations, clock: Clock) -> None:
        self._configurations = configurations
        self._clock = clock

    async def create(
        self, session: AsyncSession, caller: Caller, body: CreateScheduledBotRequestBody
    ) -> UUID:
        """Schedule a bot. Tokens, cap and other bots are looked at when its time comes.

        Raises ``InvalidRequestError``, ``InvalidMeetingPlatformError`` or
        ``OwnKeyNotAllowedError``.
        """
        self._check_time(body.join_at)
        now = self._clock.now()
        bot = ScheduledBot(
            id=new_id(),
            team_id=caller.team_id,
            created_at=now,
            updated_at=now,
            **self._columns(caller, body),
        )
        session.add(bot)
        await session.flush()
        await wake(session, Channel.SCHEDULE)
        return bot.id

    async def create_batch(
        self, session: AsyncSession, caller: Caller, items: Sequence[Any]
    ) -> tuple[list[BatchCreated], list[BatchError]]:
        """Schedule every bot of a batch that may be, in order."""

        async def create(item: Any) -> UUID:
            body = validated(CreateScheduledBotRequestBody, item)
            return await self.create(session, caller, body)

        return await in_batch(session, items, create)

    def _check_time(self, join_at: datetime) -> None:
        now = self._clock.now()
        if join_at < now + SOONEST:
            raise InvalidRequestError("join_at", "must be at least 1 minute from now.")
        if join_at > now + LATEST:
            raise InvalidRequestError("join_at", f"must be within {LATEST.days} days from now.")

    def _columns(self, caller: Caller, body: CreateScheduledBotRequestBody) -> dict[str, Any]:
        meeting = self._configurations.check_with_meeting(body, caller.plan)
        return {
            "join_at": body.join_at,
            **meeting_columns(body, meeting),
            **self._configurations.columns(body),
        }

    async def page(
        self,
        session: AsyncSession,
        caller: Caller,
        which: store.ScheduleFilter,
        *,
        limit: int,
        cursor: Cursor | None,
    ) -> Page[ScheduledBot]:
        """A page of the team's scheduled bots, earliest first. Raises ``CursorError``."""
        return await store.page(session, caller.team_id, which, limit=limit, cursor=cursor)

    async def get(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> ScheduledBot:
        """A scheduled bot of the caller's team. Raises ``BotNotFoundError``."""
        bot = await store.get(session, caller.team_id, bot_id)
        if bot is None:
            raise BotNotFoundError(bot_id)
        return bot

    async def details(
        self, session: AsyncSession, caller: Caller, bot_id: UUID
    ) -> schemas.ScheduledBotDetails:
        """All about a scheduled bot. Raises ``BotNotFoundError``."""
        bot = await self.get(session, caller, bot_id)
        return schemas.ScheduledBotDetails(
            bot_id=bot.id,
            bot_name=bot.bot_name,
            bot_image=bot.bot_image,
            meeting_url=bot.meeting_url,
            meeting_platform=Platform(bot.platform),
            recording_mode=RecordingMode(bot.recording_mode),
            join_at=bot.join_at,
            status=ScheduleStatus(bot.status),
            created_at=bot.created_at,
            updated_at=bot.updated_at,
            cancelled_at=bot.cancelled_at,
            allow_multiple_bots=bot.allow_multiple_bots,
            entry_message=bot.entry_message,
            timeout_config=schemas.TimeoutsOut(
                waiting_room_timeout=bot.waiting_room_timeout,
                no_one_joined_timeout=bot.no_one_joined_timeout,
            ),
            transcription_config=_transcription(bot),
            streaming_config=_streaming(bot),
            callback_config=self._callback(bot),
            extra=bot.extra,
        )

    def _callback(self, bot: ScheduledBot) -> schemas.CallbackOut | None:
        if not bot.callback_enabled:
            return None
        callback = self._configurations.body_of(bot)["callback_config"]
        return schemas.CallbackOut.model_validate({"enabled": True, **callback})

    async def update(
        self,
        session: AsyncSession,
        caller: Caller,
        bot_id: UUID,
        body: UpdateScheduledBotRequestBody,
    ) -> None:
        """Change what is given.

        Raises ``BotNotFoundError``, ``BotStatusError``, ``BotNotEditableError``, and what
        ``create`` raises.
        """
        bot = await self._editable(session, caller, bot_id)
        current = {
            **self._configurations.body_of(bot),
            "join_at": bot.join_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        merged = validated(CreateScheduledBotRequestBody, body.over(current))
        if "join_at" in body.model_fields_set:
            self._check_time(merged.join_at)
        for name, value in self._columns(caller, merged).items():
            setattr(bot, name, value)
        bot.updated_at = self._clock.now()
        await session.flush()
        await wake(session, Channel.SCHEDULE)

    async def cancel(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> None:
        """Have it not go.

        Raises ``BotNotFoundError``, ``BotStatusError`` or ``BotNotEditableError``.
        """
        bot = await self._editable(session, caller, bot_id)
        now = self._clock.now()
        bot.status, bot.cancelled_at, bot.updated_at = ScheduleStatus.CANCELLED, now, now
        await session.flush()

    async def _editable(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> ScheduledBot:
        """The scheduled bot, locked, so that nobody queues or changes it meanwhile."""
        bot = await store.get(session, caller.team_id, bot_id, lock=True)
        if bot is None:
            raise BotNotFoundError(bot_id)
        if bot.status != ScheduleStatus.SCHEDULED:
            raise BotStatusError(bot_id, bot.status)
        if bot.join_at < self._clock.now() + LOCK:
            raise BotNotEditableError(bot_id, int(LOCK.total_seconds() // 60))
        return bot


def _transcription(bot: ScheduledBot) -> schemas.TranscriptionOut | None:
    if not bot.transcription_enabled:
        return None
    return schemas.TranscriptionOut(
        enabled=True, provider=PROVIDER, custom_params=bot.transcription_params
    )


def _streaming(bot: ScheduledBot) -> schemas.StreamingOut | None:
    if not bot.streaming_enabled:
        return None
    config = bot.streaming_config or {}
    return schemas.StreamingOut(
        enabled=True,
        input_url=config.get("input_url"),
        output_url=config.get("output_url"),
        audio_frequency=config.get("audio_frequency"),
    )
