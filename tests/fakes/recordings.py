"""A store that fails when a test says so, and a desk that notes what was ordered."""

from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.models import Bot
from sitin.contract.recording import Recording
from sitin.transcripts.service import TranscriptState
from tests.fakes.storage import FakeObjectStore


class FailingStore(FakeObjectStore):
    """A store in memory that first raises what a test has put into its lists."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_with: list[Exception] = []
        """For ``put_file``."""
        self.deleting_fails_with: list[Exception] = []

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        if self.fails_with:
            raise self.fails_with.pop(0)
        await super().put_file(key, path, content_type=content_type)

    async def delete(self, key: str) -> None:
        if self.deleting_fails_with:
            raise self.deleting_fails_with.pop(0)
        await super().delete(key)


class FakeTranscripts:
    """Notes what was ordered."""

    def __init__(self) -> None:
        self.ordered: list[UUID] = []
        self.states: dict[UUID, TranscriptState] = {}

    async def order(self, session: AsyncSession, bot: Bot, recording: Recording) -> None:
        self.ordered.append(bot.id)

    async def state(self, session: AsyncSession, bot_id: UUID) -> TranscriptState | None:
        return self.states.get(bot_id)
