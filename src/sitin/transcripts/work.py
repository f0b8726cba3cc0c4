"""The job that makes a transcript: runs at least once, may be killed anywhere, pays nothing twice.

Every step that cost something is written down before the next is taken, and each run of the job
begins by reading what is there. Wired by cli, which hands the handler to the worker.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic import ValidationError

from sitin.contract.codes import TranscriptionStatus
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.recording import ArtifactKind, ArtifactRef, DiarizationSegment
from sitin.contract.storage import ObjectNotFoundError
from sitin.contract.transcription import Transcription
from sitin.jobs.interface import JobHandler, JobQueue, RetryLaterError
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.providers.transcription.registry import Engines
from sitin.transcripts import store
from sitin.transcripts.assembly import AnsweredPiece, VoiceName, assemble
from sitin.transcripts.audio import AudioFiles
from sitin.transcripts.errors import SupersededError
from sitin.transcripts.files import BotFiles
from sitin.transcripts.runs import Piece, Run
from sitin.transcripts.steps import look_there, order_there, transcribe_here
from sitin.transcripts.tasks import ForgetTranscript, Transcribe, Transcribed
from sitin.transcripts.workspace import workspace

MOST_UNFINISHED_RUNS = 5
"""Runs in a row that may end with their process; the audio may be what kills it."""
CONCURRENCY = 10
"""Transcripts worked on at once by one worker; local engines bound themselves further."""

RAW_PATH = "raw_transcription.json"
OUTPUT_PATH = "output_transcription.json"

OUTCOMES = Counter(
    "sitin_transcripts_total", "Transcripts by how they ended.", ["engine", "outcome"]
)
FAILURES = Counter("sitin_transcript_failures_total", "Failed runs of transcripts.", ["engine"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the work is; all in seconds but the count."""

    first_poll: float = 3.0
    """Between looks at a provider's job in its first minute, as its own client looks."""
    later_poll: float = 15.0
    """Between looks after that."""
    longest_answer: float = 4 * 3600.0
    """An order without an answer for so long has failed."""
    first_retry: float = 5.0
    """After the first failure; doubled after each further one."""
    longest_retry: float = 600.0
    most_failures: int = 20
    """Failures in a row until it is given up: more than two hours of an outage."""


class TranscriptWork:
    """Handles ``Transcribe``.

    Args:
        database: Where the rows are.
        jobs: Takes the answer for bots.
        engines: The install's engines.
        files: The bots' stored files.
        keyring: Opens customers' keys.
        clock: Tells the time.
        directory: Where a run's temporary files go.
        pace: How patient it is.
    """

    def __init__(
        self,
        *,
        database: Database,
        jobs: JobQueue,
        engines: Engines,
        files: BotFiles,
        keyring: Keyring,
        clock: Clock,
        directory: Path,
        pace: Pace | None = None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._engines = engines
        self._files = files
        self._keyring = keyring
        self._clock = clock
        self._directory = directory
        self._pace = pace or Pace()

    def handler(self) -> JobHandler[Transcribe]:
        """For the worker."""
        return JobHandler(Transcribe, self.run, concurrency=CONCURRENCY)

    async def run(self, job: Transcribe) -> None:
        """Go on with a bot's transcript as far as it goes now.

        Raises ``RetryLaterError`` when there is more to do later.
        """
        async with self._database.transaction() as session:
            transcript = await store.begin_run(session, job.bot_id)
        if transcript is None:
            await self._clear_away(job.bot_id)
            return
        run = Run(transcript, database=self._database, keyring=self._keyring, clock=self._clock)
        try:
            await self._run(run)
        except SupersededError:
            log.warning("transcript_run_overtaken", bot_id=str(job.bot_id), run=run.facts.number)
            if await self._is_erased(job.bot_id):
                # What this run has left behind since then goes by the next one.
                raise RetryLaterError(timedelta(0)) from None

    async def _is_erased(self, bot_id: UUID) -> bool:
        async with self._database.transaction() as session:
            transcript = await store.find(session, bot_id)
        return transcript is not None and transcript.erased_at is not None

    async def _clear_away(self, bot_id: UUID) -> None:
        """Remove what a run has left of a transcript that was erased while it worked."""
        if not await self._is_erased(bot_id):
            return
        try:
            await self._files.purge(bot_id)
        except (RetriableError, ActionRequiredError) as error:
            raise RetryLaterError(timedelta(seconds=self._pace.first_retry)) from error
        async with self._database.transaction() as session:
            transcript = await store.find(session, bot_id)
            if transcript is not None and transcript.to_forget:
                await self._jobs.enqueue(session, ForgetTranscript(bot_id=bot_id), key=str(bot_id))

    async def _run(self, run: Run) -> None:
        if run.facts.unfinished_runs > MOST_UNFINISHED_RUNS:
            await self._give_up(run, "The work on the transcript ended too often with its process.")
            return
        try:
            pending = await self._work(run)
            if not pending:
                await self._finish(run)
        except asyncio.CancelledError:
            # The worker stops, which is an end in good order.
            with contextlib.suppress(SupersededError):
                await asyncio.shield(run.note_end(failures=run.failures))
            raise
        except RetriableError as error:
            await self._try_again(run, error.message, error.after)
        except (ActionRequiredError, PermanentError) as error:
            await self._give_up(run, error.message)
        except SupersededError:
            raise
        except Exception:  # edge: a bug must not leave a bot waiting for ever
            log.exception("transcript_run_broke", bot_id=str(run.facts.bot_id))
            await self._try_again(run, "Something went wrong inside this service.", None)
        else:
            if pending:
                await self._look_again(run, pending)

    async def _work(self, run: Run) -> list[Piece]:
        """Take every step that can be taken now; returns the pieces still worked on elsewhere."""
        remote = self._engines.remote.get(run.facts.engine)
        local = self._engines.local.get(run.facts.engine)
        if remote is None and local is None:
            raise ActionRequiredError(
                f"This service has no engine named {run.facts.engine} any more.", by="operator"
            )
        if all(piece.answered for piece in run.pieces):
            return []
        with workspace(self._directory) as directory:
            audio = AudioFiles(self._files, run.facts.bot_id, directory)
            if local is not None:
                await transcribe_here(run, local, audio)
                return []
            assert remote is not None
            await order_there(run, remote, audio)
        return await look_there(run, remote)

    async def _look_again(self, run: Run, pending: list[Piece]) -> None:
        now = self._clock.now()
        oldest = min(piece.ordered_at or now for piece in pending)
        age = (now - oldest).total_seconds()
        if age > self._pace.longest_answer:
            await self._give_up(run, "The transcription provider did not answer in time.")
            return
        await run.note_end(failures=0)
        poll = self._pace.first_poll if age < 60 else self._pace.later_poll
        raise RetryLaterError(timedelta(seconds=poll))

    async def _try_again(self, run: Run, reason: str, after: float | None) -> None:
        FAILURES.labels(run.facts.engine).inc()
        failures = run.failures + 1
        log.warning(
            "transcript_run_failed",
            bot_id=str(run.facts.bot_id),
            engine=run.facts.engine,
            failures=failures,
            reason=reason,
        )
        if failures > self._pace.most_failures:
            await self._give_up(run, reason)
            return
        await run.note_end(failures=failures)
        wait = min(self._pace.longest_retry, self._pace.first_retry * 2 ** (failures - 1))
        raise RetryLaterError(timedelta(seconds=max(wait, after or 0.0)))

    async def _give_up(self, run: Run, reason: str) -> None:
        log.error(
            "transcript_failed",
            bot_id=str(run.facts.bot_id),
            engine=run.facts.engine,
            reason=reason,
        )
        await self._end(run, TranscriptionStatus.ERROR, failure=reason)

    async def _finish(self, run: Run) -> None:
        facts = run.facts
        output, raw, voices = assemble(
            facts.bot_id,
            engine=facts.engine,
            pieces=await self._answers(run),
            diarization=await self._diarization(run),
            duration=facts.duration,
            at=self._clock.now(),
        )
        refs = [
            await self._files.store_bytes(facts.bot_id, kind, path, file.model_dump_json().encode())
            for path, kind, file in (
                (RAW_PATH, ArtifactKind.RAW_TRANSCRIPTION, raw),
                (OUTPUT_PATH, ArtifactKind.TRANSCRIPTION, output),
            )
        ]
        await self._end(run, TranscriptionStatus.DONE, refs=refs, voices=_shown(voices))

    async def _end(
        self,
        run: Run,
        status: TranscriptionStatus,
        *,
        refs: Sequence[ArtifactRef] = (),
        **values: Any,
    ) -> None:
        bot_id = run.facts.bot_id
        async with run.writing(status=status, finished_at=self._clock.now(), **values) as session:
            await store.drop_answers(session, bot_id)
            await self._files.add(session, bot_id, refs)
            failed = status is TranscriptionStatus.ERROR
            await self._jobs.enqueue(
                session, Transcribed(bot_id=bot_id, failed=failed), key=str(bot_id)
            )
        OUTCOMES.labels(run.facts.engine, status.value).inc()

    async def _answers(self, run: Run) -> list[AnsweredPiece]:
        async with self._database.transaction() as session:
            answers = await store.answers(session, run.facts.bot_id)
        return [
            AnsweredPiece(
                start=piece.start,
                participant=piece.participant,
                answer=Transcription.model_validate_json(answer),
            )
            for piece, answer in zip(run.pieces, answers, strict=True)
        ]

    async def _diarization(self, run: Run) -> list[DiarizationSegment]:
        path = run.facts.diarization_path
        if path is None or all(piece.participant is not None for piece in run.pieces):
            return []
        with workspace(self._directory) as directory:
            file = directory / "diarization.jsonl"
            try:
                await self._files.fetch(run.facts.bot_id, path, file)
            except ObjectNotFoundError:
                log.warning("diarization_missing", bot_id=str(run.facts.bot_id))
                return []
            return await asyncio.to_thread(_read_diarization, file)


def _read_diarization(file: Path) -> list[DiarizationSegment]:
    segments = []
    with file.open("rb") as lines:
        for line in lines:
            try:
                segments.append(DiarizationSegment.model_validate_json(line))
            except ValidationError:
                # The last line of a recording that was cut off.
                log.warning("diarization_line_skipped")
    return segments


def _shown(voices: list[VoiceName]) -> list[dict[str, Any]]:
    return [
        {
            "piece": voice.piece,
            "voice": voice.voice,
            "name": voice.name.name,
            "confidence": voice.name.confidence,
        }
        for voice in voices
    ]
