"""What the API does with bots that are there: list, show, leave. Used by the routes."""

from datetime import timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.artifacts.service import Artifacts, Screenshot
from sitin.bots import schemas, store
from sitin.bots.errors import BotNotFoundError, BotStatusError
from sitin.bots.models import Bot
from sitin.bots.statuses import LEAVABLE
from sitin.contract.codes import BotStatus, Platform, RecordingMode, TranscriptionStatus
from sitin.contract.recording import ArtifactKind
from sitin.kit.clock import Clock
from sitin.kit.paging import Cursor, CursorError, Page, page_of
from sitin.kit.wakeups import Channel, wake
from sitin.transcripts.service import TranscriptState

LIST_WINDOW = timedelta(days=90)

_LINKS = ("video", "audio", "diarization", "raw_transcription", "transcription")


class TranscriptStates(Protocol):
    """Tells how far a transcript is; the room of transcripts does."""

    async def state(self, session: AsyncSession, bot_id: UUID) -> TranscriptState | None:
        """The state, or ``None`` before a transcript was ordered."""
        ...


class Bots:
    """The bots of all teams; every method joins the caller's transaction."""

    def __init__(
        self,
        *,
        artifacts: Artifacts,
        transcripts: TranscriptStates,
        clock: Clock,
    ) -> None:
        self._artifacts = artifacts
        self._transcripts = transcripts
        self._clock = clock

    async def page(
        self,
        session: AsyncSession,
        caller: Caller,
        which: store.BotFilter,
        *,
        limit: int,
        cursor: Cursor | None,
    ) -> Page[Bot]:
        """A page of the team's bots, newest first. Raises ``CursorError``."""
        return await store.page(session, caller.team_id, which, limit=limit, cursor=cursor)

    async def get(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> Bot:
        """A bot of the caller's team. Raises ``BotNotFoundError``."""
        bot = await store.get(session, caller.team_id, bot_id)
        if bot is None:
            raise BotNotFoundError(bot_id)
        return bot

    async def status(
        self, session: AsyncSession, caller: Caller, bot_id: UUID
    ) -> schemas.BotStatusNow:
        """How far a bot and its transcript are. Raises ``BotNotFoundError``."""
        bot = await self.get(session, caller, bot_id)
        transcription = TranscriptionStatus(bot.transcription_status)
        if bot.status == BotStatus.TRANSCRIBING:
            state = await self._transcripts.state(session, bot.id)
            transcription = transcription if state is None else state.status
        return schemas.BotStatusNow(
            bot_id=bot.id,
            status=BotStatus(bot.status),
            transcription_status=transcription,
            updated_at=bot.status_at,
        )

    async def details(
        self, session: AsyncSession, caller: Caller, bot_id: UUID
    ) -> schemas.BotDetails:
        """All about a bot, with fresh links. Raises ``BotNotFoundError``."""
        bot = await self.get(session, caller, bot_id)
        people = await store.participants(session, bot.id)
        links = await self.links(session, bot)
        return schemas.BotDetails(
            bot_id=bot.id,
            bot_name=bot.bot_name,
            meeting_url=bot.meeting_url,
            meeting_platform=Platform(bot.platform),
            recording_mode=RecordingMode(bot.recording_mode),
            status=BotStatus(bot.status),
            created_at=bot.created_at,
            joined_at=bot.joined_at,
            exited_at=bot.exited_at,
            duration_seconds=bot.duration,
            participants=[schemas.Person(name=one.name, id=one.number) for one in people],
            speakers=[schemas.Person(name=one.name, id=one.number) for one in people if one.spoke],
            artifacts_deleted=bot.artifacts_deleted,
            transcription_ids=bot.transcription_ids,
            transcription_provider=bot.transcription_provider,
            error_code=bot.error_code,
            error_message=bot.error_message,
            extra=bot.extra,
            **links,
        )

    async def links(self, session: AsyncSession, bot: Bot) -> dict[str, str | None]:
        """Signed addresses of the bot's artifacts by field; ``None`` where there is none."""
        if bot.artifacts_deleted:
            return dict.fromkeys(_LINKS)
        links = await self._artifacts.links(session, bot.id)
        return {field: links.get(ArtifactKind(field)) for field in _LINKS}

    async def screenshots(
        self,
        session: AsyncSession,
        caller: Caller,
        bot_id: UUID,
        *,
        limit: int,
        cursor: Cursor | None,
    ) -> Page[Screenshot]:
        """A page of a bot's screenshots. Raises ``BotNotFoundError`` and ``CursorError``."""
        bot = await self.get(session, caller, bot_id)
        if bot.artifacts_deleted:
            return Page((), None, None)
        place = None if cursor is None else _screenshot_number(cursor)
        backwards = cursor is not None and cursor.backwards
        shots = await self._artifacts.screenshots(
            session,
            bot.id,
            limit=limit + 1,
            after=None if backwards else place,
            before=place if backwards else None,
        )
        return page_of(shots, limit=limit, cursor=cursor, key=lambda shot: str(shot.number))

    async def leave(self, session: AsyncSession, caller: Caller, bot_id: UUID) -> str:
        """Have a bot leave its meeting; returns what that comes to, as a sentence.

        The worker that holds the bot passes the request on. Raises ``BotNotFoundError`` or
        ``BotStatusError``.
        """
        ask = (
            update(Bot)
            .where(Bot.id == bot_id, Bot.team_id == caller.team_id, Bot.status.in_(LEAVABLE))
            .values(leave_requested_at=func.coalesce(Bot.leave_requested_at, self._clock.now()))
            .returning(Bot.status)
            .execution_options(synchronize_session=False)
        )
        status = await session.scalar(ask)
        if status is None:
            bot = await self.get(session, caller, bot_id)
            raise BotStatusError(bot_id, BotStatus(bot.status))
        if status == BotStatus.TRANSCRIBING:
            return "The bot has left the meeting already; its recording is being transcribed."
        await wake(session, Channel.BOTS)
        return "The bot is leaving the meeting."


def _screenshot_number(cursor: Cursor) -> int:
    # Longer numbers are nobody's, and the database has none.
    if not (cursor.key.isascii() and cursor.key.isdecimal() and len(cursor.key) < 10):
        raise CursorError("no number")
    return int(cursor.key)
