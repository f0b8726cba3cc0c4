"""The audio files of a run: fetched once, cut where a piece is not a whole file. Used by work."""

import asyncio
from pathlib import Path
from uuid import UUID

import av

from sitin.contract.codes import EndReason
from sitin.contract.failures import PermanentError
from sitin.contract.storage import ObjectNotFoundError
from sitin.transcripts.chunks import cut
from sitin.transcripts.files import BotFiles
from sitin.transcripts.runs import Piece


class AudioFiles:
    """Pieces of one bot's audio as files in ``directory``."""

    def __init__(self, files: BotFiles, bot_id: UUID, directory: Path) -> None:
        self._files = files
        self._bot_id = bot_id
        self._directory = directory
        self._fetched: dict[str, Path] = {}
        self._lock = asyncio.Lock()

    async def file_of(self, piece: Piece) -> Path:
        """The file that holds just this piece, as FLAC. Raises ``PermanentError``, for one."""
        whole = await self._fetch(piece.path)
        if piece.start == 0.0 and piece.end is None:
            return whole
        chunk = self._directory / f"{self._bot_id}-{piece.number + 1}.flac"
        try:
            await asyncio.to_thread(cut, whole, chunk, start=piece.start, end=piece.end)
        except av.error.FFmpegError as error:
            raise PermanentError(
                "The recording's audio cannot be read.", code=EndReason.TRANSCRIPTION_FAILED
            ) from error
        return chunk

    async def _fetch(self, path: str) -> Path:
        async with self._lock:
            if path not in self._fetched:
                target = self._directory / f"{self._bot_id}-{path.replace('/', '-')}"
                try:
                    await self._files.fetch(self._bot_id, path, target)
                except (ObjectNotFoundError, ValueError) as error:
                    raise PermanentError(
                        "The recording's audio is not there any more.",
                        code=EndReason.TRANSCRIPTION_FAILED,
                    ) from error
                self._fetched[path] = target
            return self._fetched[path]
