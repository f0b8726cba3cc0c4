"""Bots' processes seen from outside: spawn, watch, adopt, end. Implements ``BotLauncher``.

One worker supervises a bot at a time: whoever holds the lock in the bot's place. The lock is the
kernel's and goes with the process, so that a bot whose worker died is free for the next one.
"""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from sitin.contract.codes import EndReason
from sitin.contract.events import BotEvent, Ended
from sitin.contract.failures import RetriableError
from sitin.contract.spec import BotSpec
from sitin.kit.errors import OperatorError
from sitin.runner import bot_process, control
from sitin.runner.bot_process import Process, announced
from sitin.runner.isolation import Identity, identity_for, uids_in_use
from sitin.runner.places import NO_SPACE, Place, UnsafeRecordingError
from sitin.runner.processes import RunnerProcess, kill_leftovers
from sitin.runner.spool import read_spool

log = structlog.get_logger()

RUNNER = (sys.executable, "-I", "-m", "sitin.runner")
"""The program of a bot; it is told its place, and ``--recover`` with a code."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a bot's process may take for what, in seconds."""

    to_start: float = 30.0
    """Until it says that it is there; a busy machine takes five."""
    to_go: float = 30.0
    """From its last event until it is gone."""
    silent: float = 60.0
    """Without a sign of life, of which it gives one every five, until it counts as hung."""
    to_recover: float = 3600.0
    """For putting together what a crash left: four hours of dense video take half of that."""
    memory_every: float = 5.0
    """Between looks at its memory."""
    firewall_every: float = 60.0
    """Between looks whether the firewall still holds it."""


class SupervisedBot:
    """One bot that this worker supervises."""

    def __init__(
        self,
        place: Place,
        lock: int,
        process: RunnerProcess | None,
        child: Process | None,
        ways: "_Ways",
    ) -> None:
        self._place = place
        self._spec = place.read_spec()
        self._lock = lock
        self._process = process
        self._child = child
        self._ways = ways
        self._heard = asyncio.get_running_loop().time()
        self._crash: EndReason | None = None
        self._watches: list[asyncio.Task[None]] = []
        if process is not None:
            for watch in (self._watch_memory, self._watch_firewall):
                self._watches.append(asyncio.create_task(watch(process)))

    @property
    def spec(self) -> BotSpec:
        """The order it works on."""
        return self._spec

    @property
    def directory(self) -> Path:
        """Its recording directory."""
        return self._place.files

    @property
    def pid(self) -> int:
        """The runner's process id; 0 when it is gone."""
        return self._process.pid if self._process is not None else 0

    async def events(self, *, after: int) -> AsyncIterator[BotEvent]:
        """Every event above ``after``, up to ``Ended``, which a crash gets from its recovery."""
        sent = after
        while True:
            last = None
            # Closed before the last event is given: who has it asks for no further one.
            async with aclosing(self._news(sent)) as news:
                async for event in news:
                    sent = event.seq
                    if isinstance(event.body, Ended):
                        last = event
                        break
                    yield event
            if last is not None:
                yield last
                return
            if self._process is not None and not await self._process.gone(within=1.0):
                # The connection broke, the runner did not; or it cannot be reached at all.
                if self._silence() > self._ways.patience.silent:
                    await self._put_down(EndReason.GENERAL_ERROR)
                continue
            for event in read_spool(self.directory, after=sent):
                sent = event.seq
                yield await self._safe(event)
                if isinstance(event.body, Ended):
                    return
            await self._recover()

    async def leave(self) -> None:
        """Ask it to leave; one that cannot be asked has left or is being recovered."""
        with suppress(OSError):
            async with control.connect(self.directory) as client:
                await client.leave()

    async def tell_other_bots(self, participant_ids: Collection[str]) -> bool:
        """Tell it under which ids other bots are in its meeting; returns whether it was told."""
        try:
            async with control.connect(self.directory) as client:
                await client.tell_other_bots(participant_ids)
        except OSError:
            return False
        return True

    async def discard(self) -> None:
        """Delete everything of this bot's."""
        await bot_process.forget(self._place.identity, self._spec)
        await asyncio.to_thread(self._place.delete)
        await self.release()

    async def release(self) -> None:
        """Stop supervising."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        os.close(self._lock)

    async def _news(self, after: int) -> AsyncGenerator[BotEvent]:
        """Events over the socket, until the runner is gone, hangs, or has said its last."""
        try:
            async with control.connect(self.directory) as client:
                news = aiter(client.news(after=after))
                while True:
                    async with asyncio.timeout(self._ways.patience.silent):
                        event = await anext(news)
                    self._heard = asyncio.get_running_loop().time()
                    if event is not None:
                        yield await self._safe(event)
        except (TimeoutError, ValueError):
            # It hangs, or what it says makes no sense.
            await self._put_down(EndReason.GENERAL_ERROR)
        except (OSError, StopAsyncIteration):
            return

    def _silence(self) -> float:
        """Seconds since the last sign of life."""
        return asyncio.get_running_loop().time() - self._heard

    async def _safe(self, event: BotEvent) -> BotEvent:
        """The event, once its recording can change no more and is this bot's own."""
        if not isinstance(event.body, Ended) or event.body.recording is None:
            return event
        if self._process is not None:
            await self._process.gone(within=self._ways.patience.to_go)
        await asyncio.to_thread(kill_leftovers, self._spec.bot_id)
        try:
            self._place.verify(event.body.recording)
        except UnsafeRecordingError:
            log.exception("recording refused", bot_id=str(self._spec.bot_id))
            body = event.body.model_copy(update={"recording": None})
            return event.model_copy(update={"body": body})
        return event

    async def _put_down(self, code: EndReason) -> None:
        """Dump the runner's stacks into its log, then kill it."""
        if self._process is None:
            return
        log.error("runner is put down", bot_id=str(self._spec.bot_id), code=code)
        self._crash = code
        self._process.send(signal.SIGUSR1)
        await self._process.gone(within=1.0)
        self._process.send(signal.SIGKILL)

    async def _watch_memory(self, process: RunnerProcess) -> None:
        while not await process.gone(within=self._ways.patience.memory_every):
            used = await asyncio.to_thread(process.memory)
            if used > self._ways.memory_cap:
                log.error("runner uses too much memory", bytes=used)
                await self._put_down(EndReason.OOM_KILLED)

    async def _watch_firewall(self, process: RunnerProcess) -> None:
        """Others load rules, too, and some begin by flushing all there are."""
        while not await process.gone(within=self._ways.patience.firewall_every):
            await bot_process.keep_admitted(self._place, self._spec)

    async def _recover(self) -> None:
        """Have what a dead runner left put together, by a process like it."""
        code = self._crash or await self._cause_of_death()
        log.warning("runner died", bot_id=str(self._spec.bot_id), code=code)
        await asyncio.to_thread(kill_leftovers, self._spec.bot_id)
        for arguments in (["--recover", code.value], ["--recover", code.value, "--without-files"]):
            process = await self._ways.recover(self._place, *arguments)
            try:
                async with asyncio.timeout(self._ways.patience.to_recover):
                    await process.wait()
            except TimeoutError:
                bot_process.kill(process)
                await process.wait()
            if any(isinstance(one.body, Ended) for one in read_spool(self.directory)):
                return
            if process.returncode == NO_SPACE:
                raise RetriableError("There is no space to put the recording together.", after=60)
            log.error("recording could not be put together", bot_id=str(self._spec.bot_id))
        raise RetriableError("The end of the bot could not be written to its spool.")

    async def _cause_of_death(self) -> EndReason:
        if self._child is None:
            return EndReason.FORCE_KILLED
        by_signal = {
            signal.SIGKILL: EndReason.FORCE_KILLED,
            signal.SIGTERM: EndReason.SIGTERM,
        }
        number = bot_process.signal_of(await self._child.wait())
        return by_signal.get(number, EndReason.GENERAL_ERROR) if number else EndReason.GENERAL_ERROR


@dataclass(frozen=True, slots=True)
class _Ways:
    """What all bots of a supervisor have in common."""

    memory_cap: int
    patience: Patience
    command: Sequence[str]

    async def start(self, place: Place) -> Process:
        """Start a bot's program in its place."""
        return await bot_process.start(place, [*self.command, str(place.root)])

    async def recover(self, place: Place, *arguments: str) -> Process:
        """Start it for what a dead one has left."""
        command = [*self.command, str(place.root), *arguments]
        return await bot_process.spawn(place, place.read_spec(), command)


class Supervisor:
    """Starts and adopts bots below one directory.

    ``memory_cap`` is the most a bot's processes may have to themselves together, in bytes.
    """

    def __init__(
        self,
        recordings: Path,
        *,
        memory_cap: int,
        patience: Patience | None = None,
        command: Sequence[str] = RUNNER,
    ) -> None:
        self._recordings = recordings
        self._ways = _Ways(memory_cap, patience or Patience(), command)

    async def launch(self, spec: BotSpec) -> SupervisedBot:
        """Start a bot's process, or find the one that an earlier call has started."""
        place = Place(self._recordings / str(spec.bot_id))
        try:
            identity = await asyncio.to_thread(self._make, place, spec.bot_id)
            lock = _lock(place)
            if lock is None:
                raise RetriableError("Another worker on this host supervises this bot.")
            if place.ordered:
                process = RunnerProcess.of(place.files, identity)
                return SupervisedBot(place, lock, process, None, self._ways)
            try:
                place.write_spec(spec, identity)
                child = await self._ways.start(place)
            except BaseException:
                # Nothing runs: the next attempt finds nothing of this one.
                place.delete()
                os.close(lock)
                raise
        except OSError as error:
            raise RetriableError(f"The bot's process cannot be started: {error}.") from error
        except OperatorError as error:
            raise RetriableError(error.message) from error
        process = await announced(place, child, within=self._ways.patience.to_start)
        return SupervisedBot(place, lock, process, child, self._ways)

    async def adopt(self) -> Sequence[SupervisedBot]:
        """Take over what no living worker supervises."""
        adopted = []
        for root in sorted(self._recordings.iterdir()) if self._recordings.exists() else ():
            place = Place(root)
            if not place.ordered or (lock := _lock(place)) is None:
                continue
            try:
                process = RunnerProcess.of(place.files, place.identity)
            except OSError:
                log.exception("bot_not_adopted", place=str(root))
                os.close(lock)
                continue
            adopted.append(SupervisedBot(place, lock, process, None, self._ways))
        return adopted

    def _make(self, place: Place, bot_id: UUID) -> Identity | None:
        """Make the bot's directories, for a user that no other bot on this machine has."""
        with _locked(self._recordings):
            try:
                identity = place.identity
            except OSError:
                places = (Place(root) for root in self._recordings.iterdir())
                owners = {one.files.stat().st_uid for one in places if one.files.exists()}
                identity = identity_for(bot_id, uids_in_use() | owners)
            place.make(identity)
        return identity


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time, by a lock on a directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(place: Place) -> int | None:
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
