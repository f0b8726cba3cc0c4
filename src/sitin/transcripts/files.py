"""What the work on transcripts needs of a bot's stored files. Implemented by artifacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.contract.recording import ArtifactKind, ArtifactRef


class BotFiles(Protocol):
    """The stored files of bots, by their path in the recording directory."""

    async def fetch(self, bot_id: UUID, path: str, target: Path) -> None:
        """Write a stored file to ``target``, streaming.

        Raises ``ObjectNotFoundError`` of ``sitin.contract.storage``, ``RetriableError`` and
        ``ActionRequiredError``, and ``ValueError`` for a path that no stored file can have.
        """
        ...

    async def store_bytes(
        self, bot_id: UUID, kind: ArtifactKind, path: str, data: bytes
    ) -> ArtifactRef:
        """Store a further file; one of the same path is replaced. Returns what to ``add``."""
        ...

    async def add(self, session: AsyncSession, bot_id: UUID, refs: Sequence[ArtifactRef]) -> None:
        """List stored files among the bot's artifacts, in the caller's transaction."""
        ...

    async def purge(self, bot_id: UUID) -> None:
        """Delete every file of a bot. Raises ``RetriableError`` and ``ActionRequiredError``."""
        ...
