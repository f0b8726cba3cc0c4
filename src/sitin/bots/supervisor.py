"""The worker's side of bots: takes queued ones, adopts orphans, keeps leases, ends what is lost.

Run by ``serve`` and ``worker``, one per process. The table of bots is the queue: whoever has room
takes the oldest (docs/adr/0021). A wake-up comes with every new bot and every request to leave.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError

from sitin.bots import leases
from sitin.bots.launching import LaunchSettings, refusal, spec_of
from sitin.bots.models import Bot
from sitin.bots.statuses import FINAL
from sitin.bots.watch import BotWatch, Rooms
from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.launch import BotLauncher, RunningBot
from sitin.contract.spec import BotSpec
from sitin.kit.outages import passes_by_itself
from sitin.kit.waiting import wait_for_event
from sitin.kit.wakeups import Channel, Wakeups

LAUNCHES = 3
"""How often a bot is taken from the queue before it counts as one that kills its host."""

_HOST_LOST = "The machine that ran the bot stopped answering."
_LAUNCH_FAILS = "The bot could not be started."
_BATCH = 20

RUNNING = Gauge("sitin_bots_running", "Bots in or before a call on this host.")
TAKEN = Counter("sitin_bots_taken_total", "Bots taken from the queue.")
ADOPTED = Counter("sitin_bots_adopted_total", "Bots taken over from a worker that is gone.")
FAULTS = Counter("sitin_supervision_faults_total", "Supervision cut short by a fault.", ["part"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """How one worker holds its bots."""

    host_id: UUID
    max_bots: int
    """Bots in a call at once; 0 takes none."""
    lease: timedelta = timedelta(seconds=120)
    """After so long without a word from its host a bot counts as lost."""
    renew_every: timedelta = timedelta(seconds=15)
    look_every: timedelta = timedelta(seconds=2)
    """How long a queued bot may wait for a worker with room when no wake-up comes through."""


class Supervisor:
    """All bots of one worker."""

    def __init__(
        self,
        *,
        launcher: BotLauncher,
        rooms: Rooms,
        wakeups: Wakeups,
        settings: SupervisorSettings,
        launch: LaunchSettings,
    ) -> None:
        self._launcher = launcher
        self._rooms = rooms
        self._wakeups = wakeups
        self._settings = settings
        self._launch_settings = launch
        self._watches: dict[int, BotWatch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._draining = False
        self._not_before = 0.0
        self._look = asyncio.Event()
        self._in_touch_since: float | None = None

    async def run(self) -> None:
        """Supervise until cancelled, then let go of the bots, which go on."""
        with self._wakeups.listening(Channel.BOTS) as self._look:
            try:
                # What is here already is taken over before anything is taken from the queue.
                await self._guarded("leases", self._house_round)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._take_bots())
                    group.create_task(self._keep_house())
            finally:
                await self._release()

    async def drain(self) -> None:
        """Take no further bots; returns when those that are here have come to their end."""
        self._draining = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    # Taking

    async def _take_bots(self) -> None:
        while True:
            self._look.clear()
            await self._guarded("take", self._take_round)
            await wait_for_event(self._look, self._settings.look_every.total_seconds())

    async def _take_round(self) -> None:
        await self._pass_on()
        room = self._room()
        if not room:
            return
        async with self._rooms.database.transaction() as session:
            taken = await leases.take_queued(
                session, host_id=self._settings.host_id, ttl=self._settings.lease, limit=room
            )
        for bot, token in taken:
            TAKEN.inc()
            self._starting += 1
            self._spawn(self._launch(bot, token))

    def _room(self) -> int:
        if self._draining or time.monotonic() < self._not_before:
            return 0
        in_call = sum(not watch.ended for watch in self._watches.values())
        return max(0, self._settings.max_bots - in_call - self._starting)

    async def _launch(self, bot: Bot, token: int) -> None:
        running = None
        try:
            running = await self._start(bot, token)
        finally:
            self._starting -= 1
            self._look.set()
        if running is None:
            return
        if running.spec.fencing_token != token:
            # An earlier runner of this bot is still here: it has to go before a new one can come.
            async with self._rooms.database.transaction() as session:
                await leases.give_back(session, bot.id, token)
        await self._watched(running)

    async def _start(self, bot: Bot, token: int) -> RunningBot | None:
        """The running bot, or ``None`` when it ended here or was given back."""
        if bot.launches > LAUNCHES:
            await self._fail(bot, token, EndReason.INTERNAL_ERROR, _LAUNCH_FAILS)
            return None
        if refused := refusal(bot, self._launch_settings):
            await self._fail(bot, token, *refused)
            return None
        spec = spec_of(bot, token, self._launch_settings)
        try:
            return await self._launcher.launch(spec)
        except RetriableError as error:
            await self._give_back(spec, error)
        except ActionRequiredError as error:
            await self._fail(bot, token, EndReason.INTERNAL_ERROR, error.message)
        except PermanentError as error:
            await self._fail(bot, token, error.code, error.message)
        return None

    async def _give_back(self, spec: BotSpec, error: RetriableError) -> None:
        """Leave a bot that this host cannot take now to the others, and rest for a while."""
        wait = error.after or 5.0
        self._not_before = time.monotonic() + wait
        log.warning("host_cannot_take_bot", bot_id=str(spec.bot_id), reason=error.message)
        async with self._rooms.database.transaction() as session:
            bot = await leases.hold(session, spec.bot_id, spec.fencing_token)
            bot.launches -= 1
            await leases.give_back(session, spec.bot_id, spec.fencing_token)

    async def _fail(self, bot: Bot, token: int, reason: EndReason, message: str) -> None:
        async with self._rooms.database.transaction() as session:
            held = await leases.hold(session, bot.id, token)
            await self._rooms.lifecycle.lose(session, held, reason, message)
            await leases.give_back(session, bot.id, token)

    async def _pass_on(self) -> None:
        """Tell the bots here who is to leave, and which other bots are in their meetings."""
        watched = {watch.bot_id: watch for watch in self._watches.values() if not watch.ended}
        if not watched:
            return
        async with self._rooms.database.transaction() as session:
            asked = await leases.asked_to_leave(session, watched)
            others = await leases.in_the_same_meetings(session, watched)
        for bot_id in asked:
            await watched[bot_id].leave()
        for bot_id, participant_ids in others.items():
            await watched[bot_id].tell_other_bots(participant_ids)

    # Watching

    def _watched(self, running: RunningBot) -> Coroutine[None, None, None]:
        """Note the bot as this worker's at once; what is returned follows it to its end."""
        watch = BotWatch(running, self._rooms, on_ended=self._look.set)
        self._watches[watch.fencing_token] = watch
        RUNNING.inc()
        self._look.set()

        async def follow() -> None:
            try:
                await watch.run()
            finally:
                RUNNING.dec()
                del self._watches[watch.fencing_token]

        return follow()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        async def guarded() -> None:
            await self._guarded("bot", lambda: work)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _release(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Keeping house

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._settings.renew_every.total_seconds())
            await self._guarded("leases", self._house_round)

    async def _house_round(self) -> None:
        try:
            await self._adopt()
            await self._renew()
        except (SQLAlchemyError, OSError):
            self._in_touch_since = None
            raise
        if self._in_touch_since is None:
            self._in_touch_since = time.monotonic()
        # After an outage of the database every host gets the time of a lease to renew its own.
        if time.monotonic() - self._in_touch_since >= self._settings.lease.total_seconds():
            await self._end_lost()

    async def _adopt(self) -> None:
        for running in await self._launcher.adopt():
            if running.spec.fencing_token not in self._watches:
                ADOPTED.inc()
                log.info("bot_adopted", bot_id=str(running.spec.bot_id))
                self._spawn(self._watched(running))

    async def _renew(self) -> None:
        watches = {watch.lease: watch for watch in self._watches.values() if not watch.lost}
        if not watches:
            return
        async with self._rooms.database.transaction() as session:
            held = await leases.renew(
                session, watches, host_id=self._settings.host_id, ttl=self._settings.lease
            )
        for lease in watches.keys() - held:
            await watches[lease].lose()

    async def _end_lost(self) -> None:
        """End the bots of hosts that have not been heard of for the time of a lease."""
        async with self._rooms.database.transaction() as session:
            for bot in await leases.expired(session, limit=_BATCH):
                if bot.status not in FINAL and bot.status != BotStatus.TRANSCRIBING:
                    log.warning("host_lost", bot_id=str(bot.id))
                    await self._rooms.lifecycle.lose(
                        session, bot, EndReason.FORCE_KILLED, _HOST_LOST
                    )
                await leases.drop(session, bot.id)

    async def _guarded(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """The edge of every task here: whatever goes wrong is told, and the loop goes on."""
        try:
            await work()
        except Exception as error:  # edge: of every task here
            FAULTS.labels(part).inc()
            if passes_by_itself(error):
                log.warning("database_away", part=part, reason=repr(error))
            else:
                log.exception("supervision_fault", part=part)
