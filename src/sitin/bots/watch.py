"""One bot on this host, from its launch or adoption until its directory is gone.

Used by the supervisor. Each event is applied in a transaction of its own, in order, by whoever
holds the lease; while the database is away the bot goes on and its events wait in its spool.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import stamina
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.artifacts.service import Artifacts
from sitin.artifacts.tasks import PurgeArtifacts
from sitin.bots import leases, store
from sitin.bots.errors import StaleLeaseError
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.models import Bot
from sitin.contract.codes import BotStatus
from sitin.contract.events import BotEvent, Ended
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.contract.launch import RunningBot
from sitin.contract.recording import ArtifactKind, ArtifactRef, Recording
from sitin.jobs.interface import JobQueue
from sitin.kit.database import Database
from sitin.kit.outages import passes_by_itself

T = TypeVar("T")

STORE_RETRIES = Counter("sitin_store_retries_total", "Recordings whose storing had to be retried.")

log = structlog.get_logger(__name__)


class TranscriptOrders(Protocol):
    """Where the transcript of a stored recording is ordered."""

    async def order(self, session: AsyncSession, bot: Bot, recording: Recording) -> None:
        """Have a stored recording transcribed; joins the caller's transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a watch needs of the rest of the house."""

    database: Database
    lifecycle: Lifecycle
    artifacts: Artifacts
    transcripts: TranscriptOrders
    jobs: JobQueue


class BotWatch:
    """Follows one running bot and finishes what it leaves behind.

    Args:
        on_ended: Called once the bot's call is over and its browser gone.
    """

    def __init__(self, running: RunningBot, rooms: Rooms, *, on_ended: Callable[[], None]) -> None:
        self._running = running
        self._rooms = rooms
        self._on_ended = on_ended
        self._asked_to_leave = False
        self._other_bots: set[str] = set()
        """Which it has been told of."""
        self.ended = False
        self.lost = False
        self.bot_id = running.spec.bot_id
        self.fencing_token = running.spec.fencing_token
        self._log = log.bind(bot_id=str(self.bot_id), fencing_token=self.fencing_token)

    @property
    def lease(self) -> leases.Held:
        """The lease this bot runs under."""
        return leases.Held(self.bot_id, self.fencing_token)

    async def run(self) -> None:
        """Follow, finish, clear away. Cut short, it lets go of the bot, which goes on."""
        discarded = False
        try:
            try:
                await self._follow()
                await self._settle()
            except StaleLeaseError:
                self._log.warning("lease_lost")
                await self._wind_up()
            await self._running.discard()
            discarded = True
        finally:
            self._end()
            if not discarded:
                await self._running.release()

    async def leave(self) -> None:
        """Ask the bot to leave, once."""
        if not self._asked_to_leave:
            self._asked_to_leave = True
            await self._running.leave()

    async def tell_other_bots(self, participant_ids: Collection[str]) -> None:
        """Tell the bot which other bots are in its meeting, each once."""
        new = set(participant_ids) - self._other_bots
        if new and await self._running.tell_other_bots(new):
            self._other_bots |= new

    async def lose(self) -> None:
        """Have the bot leave, because its lease is gone; its last event will find that out too."""
        self.lost = True
        await self.leave()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._on_ended()

    async def _follow(self) -> None:
        """Apply every event up to the last."""
        last, over = await self._retrying(self._how_far)
        if over:
            self._end()
            return
        async for event in self._running.events(after=last):
            if isinstance(event.body, Ended):
                self._end()
            await self._retrying(partial(self._apply, event))
            if isinstance(event.body, Ended):
                return
        raise RuntimeError("the events of the bot stopped before the last one")

    async def _how_far(self) -> tuple[int, bool]:
        async with self._rooms.database.transaction() as session:
            await leases.hold(session, self.bot_id, self.fencing_token)
            last = await store.last_seq(session, self.bot_id, self.fencing_token)
            return last, await store.ended_event(session, self.bot_id) is not None

    async def _apply(self, event: BotEvent) -> None:
        async with self._rooms.database.transaction() as session:
            bot = await leases.hold(session, self.bot_id, self.fencing_token)
            await self._rooms.lifecycle.apply(session, bot, event)

    async def _settle(self) -> None:
        """Store what the bot left, then bring it to what follows."""
        ended = await self._retrying(self._last_word)
        stored = await self._store(ended)
        await self._retrying(lambda: self._finish(ended, stored))

    async def _last_word(self) -> Ended:
        async with self._rooms.database.transaction() as session:
            ended = await store.ended_event(session, self.bot_id)
        assert ended is not None
        return ended

    async def _finish(self, ended: Ended, stored: Sequence[ArtifactRef]) -> None:
        async with self._rooms.database.transaction() as session:
            bot = await leases.hold(session, self.bot_id, self.fencing_token)
            await self._list(session, bot, stored)
            await self._rooms.lifecycle.settle(
                session,
                bot,
                ended,
                transcribe=bot.transcription_enabled and not bot.artifacts_deleted,
            )
            if bot.status == BotStatus.TRANSCRIBING:
                assert ended.recording is not None
                recording = ended.recording.model_copy(update={"files": tuple(stored)})
                await self._rooms.transcripts.order(session, bot, recording)
            await leases.give_back(session, self.bot_id, self.fencing_token)

    async def _list(self, session: AsyncSession, bot: Bot, stored: Sequence[ArtifactRef]) -> None:
        """List what was stored; of a bot whose data was deleted meanwhile it goes instead."""
        if bot.artifacts_deleted:
            await self._rooms.jobs.enqueue(session, PurgeArtifacts(bot_id=bot.id), key=str(bot.id))
        else:
            await self._rooms.artifacts.add(session, bot.id, stored)

    async def _store(self, ended: Ended) -> list[ArtifactRef]:
        """Store what the bot left, however long that takes; returns what there is now."""
        files = list(ended.recording.files) if ended.recording else []
        for name in await self._retrying(self._unexpected_files):
            files.append(_unexpected(name))
        wait = 1.0
        while True:
            try:
                return await self._rooms.artifacts.store_files(
                    self.bot_id, self._running.directory, files
                )
            except (RetriableError, ActionRequiredError) as error:
                STORE_RETRIES.inc()
                self._log.warning("recording_not_stored", reason=error.message)
                await asyncio.sleep(getattr(error, "after", None) or wait)
                wait = min(2 * wait, 60.0)

    async def _unexpected_files(self) -> list[str]:
        async with self._rooms.database.transaction() as session:
            return await store.unexpected_files(session, self.bot_id)

    async def _wind_up(self) -> None:
        """End a runner whose lease somebody else ended, and keep what it recorded.

        When the bot itself was given up as lost, its details still list the recording. When another
        runner took its place, this one's recording is nobody's.
        """
        await self._running.leave()
        ended = None
        async for event in self._running.events(after=0):
            if isinstance(event.body, Ended):
                ended = event.body
                break
        self._end()
        if ended is None:
            raise RuntimeError("the events of the bot stopped before the last one")
        if await self._retrying(self._is_unstored):
            stored = await self._store(ended)
            await self._retrying(lambda: self._note_stored(ended, stored))

    async def _is_unstored(self) -> bool:
        async with self._rooms.database.transaction() as session:
            bot = await session.get(Bot, self.bot_id)
            replaced = await leases.is_leased(session, self.bot_id)
            waits = bot is not None and bot.status == BotStatus.QUEUED
            return bot is not None and not replaced and not waits and bot.stored_at is None

    async def _note_stored(self, ended: Ended, stored: Sequence[ArtifactRef]) -> None:
        async with self._rooms.database.transaction() as session:
            bot = await self._rooms.lifecycle.note_late_recording(session, self.bot_id, ended)
            await self._list(session, bot, stored)

    async def _retrying(self, do: Callable[[], Awaitable[T]]) -> T:
        """Try until the database answers; nothing is lost by waiting for it."""
        async for attempt in stamina.retry_context(
            on=passes_by_itself, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0
        ):
            with attempt:
                return await do()
        raise AssertionError("retried without an end")


def _unexpected(name: str) -> ArtifactRef:
    """A kept page as a file to store; what is not there or leads elsewhere, artifacts refuses."""
    kind = ArtifactKind.UNEXPECTED
    return ArtifactRef(kind=kind, path=name, size=0, content_type="application/octet-stream")
