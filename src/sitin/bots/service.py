"""What the API does with bots: create, list, show, leave. Used by the routes and the commands."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.artifacts.service import Artifacts, Screenshot
from sitin.bots import schemas, store
from sitin.bots.errors import (
    BotNotFoundError,
    BotStatusError,
    InvalidMeetingPlatformError,
    InvalidRequestError,
)
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.models import Bot
from sitin.bots.requests import CreateBotRequestBody
from sitin.bots.statuses import LEAVABLE
from sitin.contract.codes import BotStatus, Platform, RecordingMode, TranscriptionStatus
from sitin.contract.recording import ArtifactKind
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.ids import new_id
from sitin.kit.paging import Cursor, CursorError, Page, page_of
from sitin.kit.wakeups import Channel, wake
from sitin.platforms.urls import MeetingUrl, is_web_address, recognise
from sitin.transcripts.service import TranscriptState

LIST_WINDOW = timedelta(days=90)

_LINKS = ("video", "audio", "diarization", "raw_transcription", "transcription")


class AddressCheck(Protocol):
    """Tells whether an address that a customer gives will ever be asked."""

    async def __call__(self, url: str, schemes: Sequence[str]) -> str | None:
        """A sentence about why not, or ``None``."""
        ...


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
        lifecycle: Lifecycle,
        artifacts: Artifacts,
        transcripts: TranscriptStates,
        keyring: Keyring,
        check_address: AddressCheck,
        clock: Clock,
    ) -> None:
        self._lifecycle = lifecycle
        self._artifacts = artifacts
        self._transcripts = transcripts
        self._keyring = keyring
        self._check_address = check_address
        self._clock = clock

    async def create(
        self, session: AsyncSession, caller: Caller, request: CreateBotRequestBody
    ) -> UUID:
        """Queue a bot; a worker with room takes it at once.

        Raises ``InvalidRequestError`` or ``InvalidMeetingPlatformError``.
        """
        await self._check_addresses(request)
        meeting = _meeting_of(request.meeting_url)
        bot = self._new_bot(caller.team_id, request, meeting)
        await self._lifecycle.begin(session, bot)
        await wake(session, Channel.BOTS)
        return bot.id

    async def _check_addresses(self, request: CreateBotRequestBody) -> None:
        streaming = request.streaming_config
        callback = request.callback_config
        web, socket = ("https", "http"), ("wss", "ws")
        fields: list[tuple[str, str | None, tuple[str, ...]]] = [
            ("bot_image", request.bot_image, web),
            ("zoom_access_token_url", request.zoom_access_token_url, web),
            ("streaming_config.input_url", streaming.input_url if streaming else None, socket),
            ("streaming_config.output_url", streaming.output_url if streaming else None, socket),
            ("callback_config.url", callback.url if callback else None, web),
        ]
        for field, url, schemes in fields:
            if url is not None:
                await self._check_one(field, url, schemes)
        if request.callback_enabled and callback is None:
            raise InvalidRequestError(
                "callback_config", "is needed, with a url, when callback_enabled is true."
            )
        if callback is not None and callback.secret and not _is_header(callback.secret):
            raise InvalidRequestError(
                "callback_config.secret",
                "must be ASCII without control characters and without a space at either end.",
            )

    async def _check_one(self, field: str, url: str, schemes: Sequence[str]) -> None:
        if refused := await self._check_address(url, schemes):
            raise InvalidRequestError(field, refused)

    def _new_bot(self, team_id: UUID, request: CreateBotRequestBody, meeting: MeetingUrl) -> Bot:
        now = self._clock.now()
        callback = request.callback_config if request.callback_enabled else None
        transcription = request.transcription_config
        given = request.meeting_url.strip()
        return Bot(
            id=new_id(),
            team_id=team_id,
            created_at=now,
            bot_name=request.bot_name,
            bot_image=request.bot_image,
            meeting_url=given if _is_uri(given) else meeting.url,
            joined_url=meeting.url,
            platform=meeting.platform,
            recording_mode=request.recording_mode,
            allow_multiple_bots=request.allow_multiple_bots,
            entry_message=request.entry_message,
            waiting_room_timeout=request.timeout_config.waiting_room_timeout,
            no_one_joined_timeout=request.timeout_config.no_one_joined_timeout,
            silence_timeout=request.timeout_config.silence_timeout,
            zoom_access_token_url=request.zoom_access_token_url,
            extra=request.extra,
            streaming_enabled=request.streaming_enabled,
            streaming_config=request.streaming_config.model_dump()
            if request.streaming_config
            else None,
            transcription_enabled=request.transcription_enabled,
            transcription_provider=_provider(request),
            transcription_params=transcription.custom_params if transcription else None,
            transcription_api_key=self._sealed(transcription.api_key if transcription else None),
            transcription_status=(
                TranscriptionStatus.NOT_STARTED
                if request.transcription_enabled
                else TranscriptionStatus.NOT_APPLICABLE
            ),
            callback_url=callback.url if callback else None,
            callback_method=callback.method if callback else "POST",
            callback_secret=self._sealed(callback.secret if callback else None),
            status=BotStatus.QUEUED,
            status_at=now,
        )

    def _sealed(self, secret: str | None) -> str | None:
        return self._keyring.encrypt(secret) if secret else None

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


def _meeting_of(text: str) -> MeetingUrl:
    meeting = recognise(text)
    if meeting is None:
        if not is_web_address(text.strip()):
            raise InvalidRequestError(
                "meeting_url", "must be an address like https://meet.google.com/abc-defg-hij."
            )
        raise InvalidMeetingPlatformError
    return meeting


def _screenshot_number(cursor: Cursor) -> int:
    # Longer numbers are nobody's, and the database has none.
    if not (cursor.key.isascii() and cursor.key.isdecimal() and len(cursor.key) < 10):
        raise CursorError("no number")
    return int(cursor.key)


def _provider(request: CreateBotRequestBody) -> str | None:
    if not request.transcription_enabled:
        return None
    return request.transcription_config.provider if request.transcription_config else "gladia"


def _is_uri(text: str) -> bool:
    """Whether the text can stand where an address is promised: ASCII without spaces."""
    return is_web_address(text) and (
        text.isascii() and not any(character in ' "<>\\^`{|}' for character in text)
    )


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()
