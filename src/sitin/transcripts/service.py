"""Transcripts as other rooms see them: ask for one, ask how far it is. Used by bots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.contract.codes import TranscriptionStatus
from sitin.contract.recording import ArtifactKind, ArtifactRef, Recording
from sitin.contract.transcription import EngineCapabilities
from sitin.jobs.interface import JobQueue
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.providers.transcription.registry import Engines
from sitin.transcripts import store
from sitin.transcripts.chunks import chunk_starts
from sitin.transcripts.models import Transcript, TranscriptPiece
from sitin.transcripts.tasks import Transcribe


@dataclass(frozen=True, slots=True)
class TranscriptionOrder:
    """How the customer wants a recording transcribed."""

    provider: str
    api_key: str | None = field(default=None, repr=False)
    """The customer's own key for the provider, in the clear."""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TranscriptState:
    """How far a bot's transcript is."""

    status: TranscriptionStatus
    provider: str
    """The engine that does the work or did it."""
    transcription_ids: tuple[str, ...] | None
    """The provider's ids, one per chunk in order; ``None`` for an engine that gives none."""
    failure: str | None
    """Why it failed, in one sentence."""


class TranscriptService:
    """See the module."""

    def __init__(self, *, engines: Engines, jobs: JobQueue, keyring: Keyring, clock: Clock) -> None:
        self._engines = engines
        self._jobs = jobs
        self._keyring = keyring
        self._clock = clock

    async def request(
        self,
        session: AsyncSession,
        bot_id: UUID,
        *,
        order: TranscriptionOrder,
        recording: Recording,
    ) -> None:
        """Have a recording transcribed; asking twice changes nothing.

        ``recording.files`` are those that are stored. The job ``Transcribed`` is the answer.
        """
        if await store.find(session, bot_id) is not None:
            return
        engine = self._engines.choose(order.provider, own_key=order.api_key is not None)
        # Another engine than the one the key is for must not get it.
        own_key = order.api_key if engine == order.provider else None
        session.add(
            Transcript(
                bot_id=bot_id,
                engine=engine,
                params=dict(order.params),
                api_key=None if own_key is None else self._keyring.encrypt(own_key),
                status=TranscriptionStatus.QUEUED,
                duration=recording.duration,
                diarization_path=_path(recording, ArtifactKind.DIARIZATION),
                created_at=self._clock.now(),
                pieces=_pieces(recording, self._engines.capabilities(engine)),
            )
        )
        await session.flush()
        await self._jobs.enqueue(session, Transcribe(bot_id=bot_id), key=str(bot_id))

    async def state(self, session: AsyncSession, bot_id: UUID) -> TranscriptState | None:
        """How far a bot's transcript is; ``None`` when none was asked for yet."""
        transcript = await store.find(session, bot_id)
        if transcript is None:
            return None
        ids = tuple(piece.job_id for piece in transcript.pieces if piece.job_id is not None)
        return TranscriptState(
            status=TranscriptionStatus(transcript.status),
            provider=transcript.engine,
            transcription_ids=ids or None,
            failure=transcript.failure,
        )


def _pieces(recording: Recording, capabilities: EngineCapabilities) -> list[TranscriptPiece]:
    if capabilities.per_participant:
        pieces = _voices(recording)
        if pieces:
            return pieces
    return _chunks(recording, capabilities)


def _voices(recording: Recording) -> list[TranscriptPiece]:
    """Each participant's audio, of those who were heard."""
    names = {
        person.participant_id: person.name for person in recording.participants if person.spoke
    }
    voices = [
        file
        for file in recording.files
        if file.kind is ArtifactKind.PARTICIPANT_AUDIO and file.participant_id in names
    ]
    return [
        TranscriptPiece(
            number=number,
            path=file.path,
            participant=names[file.participant_id or ""],
            start=0.0,
        )
        for number, file in enumerate(voices)
    ]


def _chunks(recording: Recording, capabilities: EngineCapabilities) -> list[TranscriptPiece]:
    """The mix, in pieces that the engine takes."""
    path = _path(recording, ArtifactKind.AUDIO)
    if path is None:
        return []
    starts = chunk_starts(recording.duration, capabilities.max_duration)
    ends: Sequence[float | None] = [*starts[1:], None]
    return [
        TranscriptPiece(number=number, path=path, start=start, end=end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _path(recording: Recording, kind: ArtifactKind) -> str | None:
    file: ArtifactRef | None = next((f for f in recording.files if f.kind is kind), None)
    return None if file is None else file.path
