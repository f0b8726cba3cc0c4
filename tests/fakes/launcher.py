"""A launcher whose bots do what a test says, instead of going to a meeting."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import BotEvent, Ended, EventBody, ParticipantSeen, StatusReached
from sitin.contract.recording import ArtifactKind, ArtifactRef, ParticipantRef, Recording
from sitin.contract.spec import BotSpec
from tests.waiting import until


class FakeBot:
    """A bot's process and its spool; it outlives the launchers that supervise it."""

    def __init__(self, spec: BotSpec, directory: Path) -> None:
        self.spec = spec
        self.directory = directory
        self.spool: list[BotEvent] = []
        self.supervisor: FakeLauncher | None = None
        self.leaves = 0
        self.other_bots: set[str] = set()
        self.reachable = True
        self.discarded = False
        self.leave_ends_it = True
        self.mark = ""
        """A word that every file and name of the recording holds."""
        self.spool_ahead = timedelta(0)
        """How far the bot's clock is ahead of the machine's."""
        self._grown = asyncio.Condition()

    async def emit(self, body: EventBody) -> BotEvent:
        """Append an event to the spool."""
        event = BotEvent(
            seq=len(self.spool) + 1,
            at=datetime.now(UTC) + self.spool_ahead,
            fencing_token=self.spec.fencing_token,
            body=body,
        )
        async with self._grown:
            self.spool.append(event)
            self._grown.notify_all()
        return event

    async def reach(self, *statuses: BotStatus) -> None:
        """Report these statuses one after the other."""
        for status in statuses:
            await self.emit(StatusReached(status=status))

    async def join_and_record(self) -> None:
        """Get into the call, meet two people, record."""
        await self.reach(BotStatus.JOINING_CALL, BotStatus.IN_CALL_NOT_RECORDING)
        await self.emit(ParticipantSeen(participant_id="spaces/1", name="Ada"))
        await self.emit(ParticipantSeen(participant_id="spaces/2", name="Grace"))
        await self.reach(BotStatus.IN_CALL_RECORDING)

    def write_recording(self) -> Recording:
        """Leave the files of a short recording in the directory."""
        files = [
            ("output.mp4", ArtifactKind.VIDEO, "video/mp4", None),
            ("output.flac", ArtifactKind.AUDIO, "audio/flac", None),
            ("diarization.jsonl", ArtifactKind.DIARIZATION, "application/jsonl", None),
            ("screenshots/1.png", ArtifactKind.SCREENSHOT, "image/png", 1),
            ("screenshots/2.png", ArtifactKind.SCREENSHOT, "image/png", 2),
        ]
        refs = []
        for name, kind, content_type, number in files:
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{self.spec.bot_id} {name} {self.mark}".encode())
            refs.append(
                ArtifactRef(
                    kind=kind,
                    path=name,
                    size=path.stat().st_size,
                    content_type=content_type,
                    number=number,
                )
            )
        return Recording(
            started_at=datetime.now(UTC),
            duration=12.5,
            files=tuple(refs),
            participants=(
                ParticipantRef(
                    participant_id="spaces/1", name=f"Ada{self.mark}", number=1, spoke=True
                ),
                ParticipantRef(
                    participant_id="spaces/2", name=f"Grace{self.mark}", number=2, spoke=False
                ),
            ),
        )

    async def end(
        self,
        reason: EndReason = EndReason.MEETING_ENDED,
        *,
        recorded: bool = True,
        message: str | None = None,
    ) -> None:
        """Say the last word."""
        recording = self.write_recording() if recorded else None
        await self.emit(Ended(reason=reason, message=message, recording=recording))

    def has_ended(self) -> bool:
        return bool(self.spool) and isinstance(self.spool[-1].body, Ended)

    # RunningBot

    async def events(self, *, after: int) -> AsyncIterator[BotEvent]:
        while True:
            async with self._grown:
                while len(self.spool) <= after:
                    await self._grown.wait()
                event = self.spool[after]
            yield event
            after = event.seq
            if isinstance(event.body, Ended):
                return

    async def leave(self) -> None:
        self.leaves += 1
        if self.leave_ends_it and not self.has_ended():
            recorded = any(
                isinstance(event.body, StatusReached)
                and event.body.status is BotStatus.IN_CALL_RECORDING
                for event in self.spool
            )
            await self.end(EndReason.API_REQUEST, recorded=recorded)

    async def tell_other_bots(self, participant_ids: Collection[str]) -> bool:
        if self.reachable:
            self.other_bots |= set(participant_ids)
        return self.reachable

    async def discard(self) -> None:
        self.discarded = True
        self.reachable = False
        self.supervisor = None

    async def release(self) -> None:
        self.supervisor = None


class FakeHost:
    """The processes and directories of one machine, shared by all launchers on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bots: list[FakeBot] = []

    def of(self, bot_id: UUID) -> list[FakeBot]:
        """Every runner this bot has had here."""
        return [bot for bot in self.bots if bot.spec.bot_id == bot_id]

    async def the(self, bot_id: UUID) -> FakeBot:
        """The bot's only runner, once it is there."""
        await until(lambda: bool(self.of(bot_id)))
        (bot,) = self.of(bot_id)
        return bot


class FakeLauncher:
    """One worker's launcher on a fake host."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.refuses: Exception | None = None

    async def launch(self, spec: BotSpec) -> FakeBot:
        if self.refuses is not None:
            raise self.refuses
        for bot in self.host.of(spec.bot_id):
            if bot.spec.fencing_token == spec.fencing_token:
                return bot
        directory = self.host.directory / f"{spec.bot_id}-{spec.fencing_token}"
        directory.mkdir(parents=True)
        bot = FakeBot(spec, directory)
        bot.supervisor = self
        self.host.bots.append(bot)
        return bot

    async def adopt(self) -> Sequence[FakeBot]:
        orphans = [bot for bot in self.host.bots if bot.supervisor is None and not bot.discarded]
        for bot in orphans:
            bot.supervisor = self
        return orphans
