"""The steps of a run with an engine of either kind. Used by the work beside it."""

import asyncio

from sitin.contract.codes import EndReason
from sitin.contract.failures import PermanentError
from sitin.contract.transcription import JobFailedError, LocalEngine, RemoteEngine
from sitin.transcripts.audio import AudioFiles
from sitin.transcripts.runs import Piece, Run

MOST_GIVEN_UP = 3
"""Jobs of a transcript that a provider may give up before it is not asked again."""


async def transcribe_here(run: Run, engine: LocalEngine, audio: AudioFiles) -> None:
    """Have every piece that has no answer yet transcribed on this machine.

    The pieces go on beside each other as far as the engine lets them; when one fails, the others
    still come to their end, so that their work is not lost.
    """

    async def transcribe(piece: Piece) -> None:
        file = await audio.file_of(piece)
        answer = await engine.transcribe(file, params=run.facts.params)
        await run.note_answer(piece, answer)

    waiting = [transcribe(piece) for piece in run.pieces if not piece.answered]
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def order_there(run: Run, engine: RemoteEngine, audio: AudioFiles) -> None:
    """Hand over every piece that the provider does not have yet and order its transcription."""
    for piece in run.pieces:
        if piece.job_id is not None:
            continue
        job_id = None
        if piece.upload is None:
            file = await audio.file_of(piece)
            upload = await engine.upload(file, api_key=run.api_key)
            await run.note_upload(piece, upload)
        else:
            # An earlier run has died between ordering and writing that down, or just before.
            assert piece.uploaded_at is not None
            upload = piece.upload
            job_id = await engine.find(upload, since=piece.uploaded_at, api_key=run.api_key)
        if job_id is None:
            job_id = await engine.create(upload, params=run.facts.params, api_key=run.api_key)
        await run.note_order(piece, job_id)


async def look_there(run: Run, engine: RemoteEngine) -> list[Piece]:
    """Take the answers that are there; returns the pieces that the provider still works on."""
    pending = []
    for piece in run.pieces:
        if piece.answered:
            continue
        assert piece.job_id is not None
        try:
            answer = await engine.result(piece.job_id, api_key=run.api_key)
        except JobFailedError as error:
            await run.discard_job(piece)
            if len(run.facts.discarded_jobs) + 1 >= MOST_GIVEN_UP:
                raise PermanentError(error.message, code=EndReason.TRANSCRIPTION_FAILED) from error
            raise
        if answer is None:
            pending.append(piece)
        else:
            await run.note_answer(piece, answer)
    return pending
