"""Erasing transcripts: here at once, at the provider as soon as it lets us. Used by bots and cli.

A run of the work that is under way when its transcript is erased finds itself overtaken; its job
comes once more to clear away what it left (``sitin.transcripts.work``).
"""

from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from sitin.contract.codes import TranscriptionStatus
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.transcription import RemoteEngine
from sitin.jobs.interface import JobHandler, JobQueue, RetryLaterError
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.providers.transcription.registry import Engines
from sitin.transcripts import store
from sitin.transcripts.models import Transcript, TranscriptPiece
from sitin.transcripts.tasks import ForgetTranscript, Transcribed

ASK_FOR = timedelta(days=7)
"""How long a provider that refuses, over a key for instance, is asked again and again."""

_ASK_AGAIN = timedelta(minutes=1)
_ASK_AGAIN_AFTER_REFUSAL = timedelta(hours=1)

FORGOTTEN = Counter(
    "sitin_provider_deletions_total", "Transcripts deleted at providers, by outcome.", ["outcome"]
)

log = structlog.get_logger(__name__)


class TranscriptDeletion:
    """Erases in the caller's transaction."""

    def __init__(self, *, jobs: JobQueue, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def erase(self, session: AsyncSession, bot_id: UUID, *, at_provider: bool) -> None:
        """Forget what was said; one that is being made comes to its end without it."""
        query = (
            select(Transcript)
            .where(Transcript.bot_id == bot_id)
            .options(selectinload(Transcript.pieces))
            .with_for_update()
        )
        transcript = (await session.scalars(query)).one_or_none()
        if transcript is None:
            return
        now = self._clock.now()
        transcript.erased_at = transcript.erased_at or now
        transcript.to_forget |= at_provider
        transcript.voices = None
        transcript.params = {}
        transcript.run += 1
        if transcript.status in store.OPEN:
            transcript.status = TranscriptionStatus.DONE
            transcript.finished_at = now
            await self._jobs.enqueue(
                session, Transcribed(bot_id=bot_id, failed=False), key=str(bot_id)
            )
        await session.flush()
        await session.execute(
            update(TranscriptPiece)
            .where(TranscriptPiece.bot_id == bot_id)
            .values(answer=None, participant=None)
            .execution_options(synchronize_session=False)
        )
        if transcript.to_forget:
            await self._jobs.enqueue(session, ForgetTranscript(bot_id=bot_id), key=str(bot_id))


class Forgetting:
    """Handles ``ForgetTranscript``; what is gone at the provider already is no error."""

    def __init__(
        self, *, database: Database, engines: Engines, keyring: Keyring, clock: Clock
    ) -> None:
        self._database = database
        self._engines = engines
        self._keyring = keyring
        self._clock = clock

    def handler(self) -> JobHandler[ForgetTranscript]:
        """For the worker."""
        return JobHandler(ForgetTranscript, self.forget)

    async def forget(self, job: ForgetTranscript) -> None:
        """Have every job of a transcript deleted. Raises ``RetryLaterError``."""
        async with self._database.transaction() as session:
            transcript = await store.find(session, job.bot_id)
        if transcript is None or not transcript.to_forget:
            return
        engine = self._engines.remote.get(transcript.engine)
        if engine is not None:
            await self._delete_all(engine, transcript)
        await self._note_done(job.bot_id)

    async def _delete_all(self, engine: RemoteEngine, transcript: Transcript) -> None:
        try:
            await self._delete_jobs(engine, transcript)
        except RetriableError as error:
            wait = _ASK_AGAIN if error.after is None else timedelta(seconds=error.after)
            raise RetryLaterError(wait) from error
        except (ActionRequiredError, PermanentError) as error:
            assert transcript.erased_at is not None
            if self._clock.now() - transcript.erased_at < ASK_FOR:
                raise RetryLaterError(_ASK_AGAIN_AFTER_REFUSAL) from error
            FORGOTTEN.labels("refused").inc()
            log.exception(
                "provider_deletion_refused", bot_id=str(transcript.bot_id), reason=error.message
            )
        else:
            FORGOTTEN.labels("done").inc()

    async def _delete_jobs(self, engine: RemoteEngine, transcript: Transcript) -> None:
        sealed = transcript.api_key
        key = None if sealed is None else self._keyring.decrypt(sealed)
        job_ids = list(transcript.discarded_jobs)
        for piece in transcript.pieces:
            if piece.job_id is not None:
                job_ids.append(piece.job_id)
            elif piece.upload is not None and piece.uploaded_at is not None:
                # Ordered by a run that was overtaken before it could write that down.
                found = await engine.find(piece.upload, since=piece.uploaded_at, api_key=key)
                job_ids += [] if found is None else [found]
        for job_id in job_ids:
            await engine.delete(job_id, api_key=key)

    async def _note_done(self, bot_id: UUID) -> None:
        async with self._database.transaction() as session:
            await session.execute(
                update(Transcript)
                .where(Transcript.bot_id == bot_id)
                .values(to_forget=False, api_key=None, discarded_jobs=[])
            )
            nothing = dict.fromkeys(("upload", "uploaded_at", "job_id", "ordered_at"))
            await session.execute(
                update(TranscriptPiece).where(TranscriptPiece.bot_id == bot_id).values(**nothing)
            )
