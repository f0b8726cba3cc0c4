"""One run of the job that makes a transcript: what it read, and what it may write.

Used by the work beside it. A run writes only while it is the latest of its transcript; else its
writing raises ``SupersededError``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.contract.transcription import Transcription
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.transcripts import store
from sitin.transcripts.models import Transcript, TranscriptPiece


@dataclass(slots=True)
class Piece:
    """A piece of the audio as the run knows it; ``TranscriptPiece`` tells the fields."""

    number: int
    path: str
    participant: str | None
    start: float
    end: float | None
    upload: str | None
    uploaded_at: datetime | None
    job_id: str | None
    ordered_at: datetime | None
    answered: bool


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What does not change during a run; ``Transcript`` tells the fields."""

    bot_id: UUID
    number: int
    engine: str
    params: Mapping[str, Any]
    duration: float
    diarization_path: str | None
    unfinished_runs: int
    discarded_jobs: tuple[str, ...]


class Run:
    """See the module."""

    def __init__(
        self, transcript: Transcript, *, database: Database, keyring: Keyring, clock: Clock
    ) -> None:
        self.facts = RunFacts(
            bot_id=transcript.bot_id,
            number=transcript.run,
            engine=transcript.engine,
            params=transcript.params,
            duration=transcript.duration,
            diarization_path=transcript.diarization_path,
            unfinished_runs=transcript.unfinished_runs,
            discarded_jobs=tuple(transcript.discarded_jobs),
        )
        self.pieces = [_piece(row) for row in transcript.pieces]
        self.failures = transcript.failures
        """In a row, without getting any further."""
        self._sealed_key = transcript.api_key
        self._database = database
        self._keyring = keyring
        self._clock = clock

    @property
    def api_key(self) -> str | None:
        """The customer's own key, or ``None`` for the install's."""
        return None if self._sealed_key is None else self._keyring.decrypt(self._sealed_key)

    @asynccontextmanager
    async def writing(self, **values: Any) -> AsyncIterator[AsyncSession]:
        """A transaction that changes the transcript, and whatever else its body changes."""
        async with self._database.transaction() as session:
            await store.write(session, self.facts.bot_id, self.facts.number, **values)
            yield session

    async def note_end(self, *, failures: int) -> None:
        """This run ends in good order and is to be followed by another."""
        async with self.writing(unfinished_runs=0, failures=failures):
            pass

    async def note_upload(self, piece: Piece, upload: str) -> None:
        """The piece's audio is at the provider."""
        piece.upload, piece.uploaded_at = upload, self._clock.now()
        await self._note(piece, upload=upload, uploaded_at=piece.uploaded_at)

    async def note_order(self, piece: Piece, job_id: str) -> None:
        """The provider works on the piece."""
        piece.job_id, piece.ordered_at = job_id, self._clock.now()
        await self._note(piece, job_id=job_id, ordered_at=piece.ordered_at)

    async def note_answer(self, piece: Piece, answer: Transcription) -> None:
        """The engine has answered; the answer waits for those for the other pieces."""
        piece.answered = True
        await self._note(
            piece, answer=answer.model_dump_json().encode(), answered_at=self._clock.now()
        )

    async def discard_job(self, piece: Piece) -> None:
        """The provider has given the job up: the piece has to be handed over anew."""
        assert piece.job_id is not None
        discarded = [*self.facts.discarded_jobs, piece.job_id]
        nothing: dict[str, None] = dict.fromkeys(("upload", "uploaded_at", "job_id", "ordered_at"))
        async with self.writing(discarded_jobs=discarded) as session:
            await store.write_piece(session, self.facts.bot_id, piece.number, **nothing)

    async def _note(self, piece: Piece, **values: Any) -> None:
        self.failures = 0
        async with self.writing(unfinished_runs=0, failures=0) as session:
            await store.write_piece(session, self.facts.bot_id, piece.number, **values)


def _piece(row: TranscriptPiece) -> Piece:
    return Piece(
        number=row.number,
        path=row.path,
        participant=row.participant,
        start=row.start,
        end=row.end,
        upload=row.upload,
        uploaded_at=row.uploaded_at,
        job_id=row.job_id,
        ordered_at=row.ordered_at,
        answered=row.answered_at is not None,
    )
