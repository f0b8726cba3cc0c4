"""Changes a bot's status, and applies what runners and transcripts report. Used within bots.

``Lifecycle.change_status`` is the only writer of a status. It writes the status, its line of the
history, the message for webhooks and, at the end, what the bot cost, in the caller's transaction; a
race is settled by the guard of its UPDATE, and a trigger refuses what the table of moves does not
hold.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import delete, select, update
from sqlalchemy import insert as core_insert
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.ledger import Ledger
from sitin.bots import leases, payloads, store
from sitin.bots.charges import WAITED_FOR_NOTHING, charges
from sitin.bots.endings import Ending, judge, steps_after_storing, steps_out_of_call
from sitin.bots.erasing import erased
from sitin.bots.errors import IllegalMoveError
from sitin.bots.models import Bot, Event, Participant, StatusChange
from sitin.bots.statuses import FINAL, REPORTED_BY_RUNNER, before
from sitin.contract.codes import BotStatus, EndReason, TranscriptionStatus
from sitin.contract.events import (
    BotEvent,
    Ended,
    JoinedAs,
    ParticipantLeft,
    ParticipantSeen,
    StatusReached,
    UnexpectedSeen,
)
from sitin.contract.recording import ParticipantRef, Recording
from sitin.kit.clock import Clock
from sitin.kit.database import among
from sitin.kit.wakeups import Channel, wake
from sitin.notifications.events import EventType
from sitin.notifications.service import (
    BotMessage,
    Callback,
    is_wanted,
    publish,
    publish_all,
)

_IN_CALL = frozenset({BotStatus.IN_CALL_NOT_RECORDING, BotStatus.IN_CALL_RECORDING})

ENDED = Counter("sitin_bots_ended_total", "Bots that came to their end, by reason.", ["reason"])
UNEXPECTED = Counter("sitin_unexpected_pages_total", "Pages that showed what nobody expected.")
REFUSED = Counter("sitin_bot_events_refused_total", "Events of runners that made no sense.")

log = structlog.get_logger(__name__)


class Lifecycle:
    """What happens to a bot, applied to its rows in the caller's transaction."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def begin(self, session: AsyncSession, bot: Bot) -> None:
        """Add a new bot, ``queued``."""
        session.add(bot)
        await session.flush()
        await self._note(session, bot, BotStatus.QUEUED, at=bot.status_at, message=None)

    async def begin_all(
        self, session: AsyncSession, team_id: UUID, bot_ids: Sequence[UUID], *, at: datetime
    ) -> None:
        """Tell of bots of a team that were added ``queued`` by other means."""
        lines = [{"bot_id": one, "status": BotStatus.QUEUED, "at": at} for one in bot_ids]
        await session.execute(core_insert(StatusChange), lines)
        event = EventType.BOT_STATUS_CHANGE
        if not await is_wanted(session, team_id, event):
            return
        rows = await session.execute(
            select(Bot.id, Bot.event_id, Bot.extra).where(among(Bot.id, bot_ids))
        )
        await publish_all(
            session,
            team_id=team_id,
            event=event,
            messages=[
                BotMessage(
                    bot_id=row.id,
                    data=payloads.status_change(row.id, row.event_id, BotStatus.QUEUED, at=at),
                    extra=row.extra,
                )
                for row in rows
            ],
            at=self._clock.now(),
        )

    async def change_status(
        self,
        session: AsyncSession,
        bot: Bot,
        status: BotStatus,
        *,
        at: datetime,
        message: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Move the bot on. Raises ``IllegalMoveError`` when it is not where it could come from."""
        change = (
            update(Bot)
            .where(Bot.id == bot.id, Bot.status.in_(before(status)))
            .values(status=status, status_at=at, **_times(bot, status, at), **(fields or {}))
            .returning(Bot)
            .execution_options(populate_existing=True)
        )
        current = bot.status
        if (await session.scalars(change)).one_or_none() is None:
            raise IllegalMoveError(bot.id, BotStatus(current), status)
        await self._note(session, bot, status, at=at, message=message)

    async def _note(
        self,
        session: AsyncSession,
        bot: Bot,
        status: BotStatus,
        *,
        at: datetime,
        message: str | None,
    ) -> None:
        session.add(StatusChange(bot_id=bot.id, status=status, at=at, message=message))
        now = self._clock.now()
        await publish(
            session,
            team_id=bot.team_id,
            event=EventType.BOT_STATUS_CHANGE,
            data=payloads.status_change(
                bot.id,
                bot.event_id,
                status,
                at=at,
                message=message,
                recording_started_at=bot.recording_started_at,
            ),
            extra=bot.extra,
            at=now,
            bot_id=bot.id,
        )
        if status in FINAL:
            await self._settle_tokens(session, bot)
            await self._announce_end(session, bot, now)

    async def _settle_tokens(self, session: AsyncSession, bot: Bot) -> None:
        waited = timedelta(0)
        if bot.error_code in WAITED_FOR_NOTHING:
            waited = await store.waited(session, bot.id)
        parts = charges(bot, self._ledger.rates, waited=waited)
        await self._ledger.settle(session, bot.team_id, bot.id, parts)

    async def _announce_end(self, session: AsyncSession, bot: Bot, now: datetime) -> None:
        event, data = await final_payload(session, bot, at=now)
        callback = None
        if bot.callback_enabled and bot.callback_url is not None:
            callback = Callback(bot.callback_url, bot.callback_method, bot.callback_secret)
        await publish(
            session,
            team_id=bot.team_id,
            event=event,
            data=data,
            extra=bot.extra,
            at=now,
            bot_id=bot.id,
            callback=callback,
        )

    async def apply(self, session: AsyncSession, bot: Bot, event: BotEvent) -> None:
        """Apply a runner's event, once however often it is told.

        The bot's row is locked and the sender holds its lease. Of a bot whose data was deleted,
        nothing about people is kept.
        """
        body = erased(event.body) if bot.artifacts_deleted else event.body
        noted = await session.scalar(
            insert(Event)
            .values(
                bot_id=bot.id,
                fencing_token=event.fencing_token,
                seq=event.seq,
                at=event.at,
                body=body.model_dump(mode="json"),
            )
            .on_conflict_do_nothing()
            .returning(Event.seq)
        )
        if noted is None:
            return
        match body:
            case StatusReached():
                await self._reach(session, bot, body, event.at)
            case ParticipantSeen():
                if not bot.artifacts_deleted:
                    await _see(session, bot.id, body)
            case UnexpectedSeen():
                UNEXPECTED.inc()
                log.warning("unexpected_page", bot_id=str(bot.id), what=body.what)
            case Ended():
                await self._leave_call(session, bot, body, event.at)
            case JoinedAs(participant_id=participant_id):
                await leases.note_participant_id(
                    session, bot.id, event.fencing_token, participant_id
                )
                await wake(session, Channel.BOTS)
            case ParticipantLeft():
                pass

    async def _reach(
        self, session: AsyncSession, bot: Bot, body: StatusReached, at: datetime
    ) -> None:
        if body.status == bot.status:
            return
        if body.status not in REPORTED_BY_RUNNER or bot.status not in before(body.status):
            REFUSED.inc()
            log.warning(
                "runner_status_refused",
                bot_id=str(bot.id),
                current=str(bot.status),
                reported=str(body.status),
            )
            return
        await self.change_status(session, bot, body.status, at=at, message=body.message)

    async def _leave_call(self, session: AsyncSession, bot: Bot, body: Ended, at: datetime) -> None:
        if body.recording is not None:
            bot.recording_started_at = body.recording.started_at
            bot.duration = body.recording.duration
            await session.flush()
        ending = ending_of(bot, body)
        await self._walk(
            session,
            bot,
            steps_out_of_call(BotStatus(bot.status), ending, joined=bot.joined_at is not None),
            ending,
            at,
        )

    async def settle(
        self, session: AsyncSession, bot: Bot, body: Ended, *, transcribe: bool
    ) -> Ending:
        """Bring a bot whose call has ended, and whose files are stored, to what follows."""
        now = self._clock.now()
        ending = ending_of(bot, body)
        bot.stored_at = now
        if body.recording is not None:
            await _replace_participants(session, bot, body.recording.participants)
        await session.flush()
        steps = steps_after_storing(BotStatus(bot.status), ending, transcribe=transcribe)
        await self._walk(session, bot, steps, ending, now)
        ENDED.labels(ending.reason.value).inc()
        return ending

    async def lose(self, session: AsyncSession, bot: Bot, reason: EndReason, message: str) -> None:
        """End a bot that nobody runs any more, or that cannot be run."""
        recording = await self._recording_of(session, bot.id)
        body = Ended(reason=reason, message=message, recording=recording)
        now = self._clock.now()
        ending = ending_of(bot, body)
        joined = bot.joined_at is not None
        steps = steps_out_of_call(BotStatus(bot.status), ending, joined=joined)
        await self._walk(session, bot, steps, ending, now)
        steps = steps_after_storing(BotStatus(bot.status), ending, transcribe=False)
        await self._walk(session, bot, steps, ending, now)
        ENDED.labels(ending.reason.value).inc()

    async def note_late_recording(self, session: AsyncSession, bot_id: UUID, ended: Ended) -> Bot:
        """Take up what a runner recorded whose bot had been given up as lost; its end stays."""
        bot = await lock(session, bot_id)
        bot.stored_at = self._clock.now()
        if ended.recording is not None:
            bot.duration = ended.recording.duration
            await _replace_participants(session, bot, ended.recording.participants)
        return bot

    async def _recording_of(self, session: AsyncSession, bot_id: UUID) -> Recording | None:
        ended = await store.ended_event(session, bot_id)
        return None if ended is None else ended.recording

    async def finish_transcription(
        self,
        session: AsyncSession,
        bot: Bot,
        *,
        provider: str,
        ids: Sequence[str] | None,
        failed: bool = False,
        error: str | None = None,
    ) -> None:
        """Take the answer of the transcripts room; an answer told twice changes nothing."""
        if bot.status != BotStatus.TRANSCRIBING:
            return
        bot.transcription_provider = provider
        bot.transcription_ids = None if ids is None else list(ids)
        bot.transcription_status = TranscriptionStatus.ERROR if failed else TranscriptionStatus.DONE
        await session.flush()
        reason = EndReason.TRANSCRIPTION_FAILED if failed else EndReason.MEETING_ENDED
        ending = judge(reason, error, status=BotStatus.TRANSCRIBING, began=True, recorded=True)
        last = BotStatus.FAILED if ending.failed else BotStatus.COMPLETED
        await self._walk(session, bot, [last], ending, self._clock.now())

    async def _walk(
        self,
        session: AsyncSession,
        bot: Bot,
        steps: Sequence[BotStatus],
        ending: Ending,
        at: datetime,
    ) -> None:
        for status in steps:
            fields: dict[str, Any] = {}
            if status is BotStatus.FAILED:
                fields = {"error_code": ending.reason, "error_message": ending.message}
            elif status is BotStatus.TRANSCRIBING:
                fields = {"transcription_status": TranscriptionStatus.QUEUED}
            message = ending.message if ending.failed else None
            await self.change_status(session, bot, status, at=at, message=message, fields=fields)


async def final_payload(
    session: AsyncSession, bot: Bot, *, at: datetime
) -> tuple[EventType, dict[str, Any]]:
    """What webhooks and callbacks say about the end of a bot that is completed or failed."""
    if BotStatus(bot.status) is BotStatus.COMPLETED:
        people = await store.participants(session, bot.id)
        return EventType.BOT_COMPLETED, payloads.completed(bot, people, at=at)
    assert bot.error_code is not None
    assert bot.error_message is not None
    return EventType.BOT_FAILED, payloads.failed(
        bot.id, bot.event_id, code=bot.error_code, message=bot.error_message, at=at
    )


def ending_of(bot: Bot, body: Ended) -> Ending:
    """What a runner's last word means for this bot."""
    recorded = body.recording is not None
    began = bot.recording_started_at is not None
    return judge(
        body.reason,
        body.message,
        status=BotStatus(bot.status),
        began=began,
        recorded=recorded,
    )


def _times(bot: Bot, status: BotStatus, at: datetime) -> dict[str, datetime]:
    """The bot's own times that a status sets, each once."""
    times = {}
    if status in _IN_CALL and bot.joined_at is None:
        times["joined_at"] = at
    if status is BotStatus.IN_CALL_RECORDING and bot.recording_started_at is None:
        times["recording_started_at"] = at
    if status is BotStatus.CALL_ENDED and bot.joined_at is not None:
        times["exited_at"] = at
    if status in FINAL:
        times["ended_at"] = at
    return times


async def _see(session: AsyncSession, bot_id: UUID, body: ParticipantSeen) -> None:
    """Add somebody, or take up the name they show now."""
    seen = await store.participants(session, bot_id)
    await session.execute(
        insert(Participant)
        .values(
            bot_id=bot_id,
            participant_id=body.participant_id,
            number=len(seen) + 1,
            name=body.name,
            spoke=False,
        )
        .on_conflict_do_update(
            index_elements=["bot_id", "participant_id"], set_={"name": body.name}
        )
    )


async def _replace_participants(
    session: AsyncSession, bot: Bot, people: Sequence[ParticipantRef]
) -> None:
    """The recording's own list of who was there holds in the end."""
    if bot.artifacts_deleted:
        return
    await session.execute(delete(Participant).where(Participant.bot_id == bot.id))
    session.add_all(
        Participant(
            bot_id=bot.id,
            participant_id=person.participant_id,
            number=person.number,
            name=person.name,
            spoke=person.spoke,
        )
        for person in people
    )
    await session.flush()


async def lock(session: AsyncSession, bot_id: UUID) -> Bot:
    """The bot's row, locked until the transaction ends."""
    query = select(Bot).where(Bot.id == bot_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one()
