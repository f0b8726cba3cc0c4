"""Rows of transcripts. Used by the service and the work beside it."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from sitin.contract.codes import TranscriptionStatus
from sitin.transcripts.errors import SupersededError
from sitin.transcripts.models import Transcript, TranscriptPiece

OPEN = (TranscriptionStatus.QUEUED, TranscriptionStatus.PROCESSING)
"""Statuses of a transcription that is not over."""


async def find(session: AsyncSession, bot_id: UUID) -> Transcript | None:
    """A bot's transcript with its pieces by number."""
    return await session.scalar(
        select(Transcript)
        .where(Transcript.bot_id == bot_id)
        .options(selectinload(Transcript.pieces))
    )


async def begin_run(session: AsyncSession, bot_id: UUID) -> Transcript | None:
    """Start a run of the job, which ends the writing of every earlier one.

    ``None`` when there is nothing to do: no such transcript, or one that is over.
    """
    number = await session.scalar(
        update(Transcript)
        .where(Transcript.bot_id == bot_id, Transcript.status.in_(OPEN))
        .values(
            run=Transcript.run + 1,
            unfinished_runs=Transcript.unfinished_runs + 1,
            status=TranscriptionStatus.PROCESSING,
        )
        .returning(Transcript.run)
    )
    return None if number is None else await find(session, bot_id)


async def write(session: AsyncSession, bot_id: UUID, run: int, **values: Any) -> None:
    """Change a transcript that is not over, as its latest run. Raises ``SupersededError``."""
    changed = await session.scalar(
        update(Transcript)
        .where(Transcript.bot_id == bot_id, Transcript.run == run, Transcript.status.in_(OPEN))
        .values(**values)
        .returning(Transcript.bot_id)
    )
    if changed is None:
        raise SupersededError


async def write_piece(session: AsyncSession, bot_id: UUID, number: int, **values: Any) -> None:
    """Change a piece; the caller has made sure that it is the latest run."""
    await session.execute(
        update(TranscriptPiece)
        .where(TranscriptPiece.bot_id == bot_id, TranscriptPiece.number == number)
        .values(**values)
    )


async def answers(session: AsyncSession, bot_id: UUID) -> list[bytes]:
    """What the engine said of each piece, by number; every piece has been answered."""
    found = await session.scalars(
        select(TranscriptPiece.answer)
        .where(TranscriptPiece.bot_id == bot_id)
        .order_by(TranscriptPiece.number)
    )
    return [answer for answer in found if answer is not None]


async def drop_answers(session: AsyncSession, bot_id: UUID) -> None:
    """Forget what the engine said, once it is stored elsewhere."""
    await session.execute(
        update(TranscriptPiece).where(TranscriptPiece.bot_id == bot_id).values(answer=None)
    )
