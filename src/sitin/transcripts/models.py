"""The tables of transcripts: one row per bot whose recording is transcribed, one per piece."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, LargeBinary, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sitin.contract.codes import TranscriptionStatus
from sitin.kit.database import Base
from sitin.kit.sealing import SealedText

STATUSES = (
    TranscriptionStatus.QUEUED,
    TranscriptionStatus.PROCESSING,
    TranscriptionStatus.DONE,
    TranscriptionStatus.ERROR,
)
"""What a row's status may be: before there is a row, it is ``not-started``."""


class Transcript(Base):
    """The transcription of one bot's recording."""

    __tablename__ = "transcripts"
    __table_args__ = (
        CheckConstraint(
            "status IN ({})".format(", ".join(f"'{status}'" for status in STATUSES)), name="status"
        ),
    )

    bot_id: Mapped[UUID] = mapped_column(primary_key=True)
    engine: Mapped[str] = mapped_column(String(64))
    """The engine that does the work."""
    params: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The customer's parameters for the engine."""
    api_key: Mapped[str | None] = mapped_column(SealedText)
    """The customer's own key for the engine, encrypted."""
    status: Mapped[str] = mapped_column(String(16))
    duration: Mapped[float]
    """Of the recording, in seconds."""
    diarization_path: Mapped[str | None] = mapped_column(Text)
    """Of the recording's file that tells who spoke when."""
    run: Mapped[int] = mapped_column(default=0)
    """The number of the latest run of the job; an older one may write nothing any more."""
    unfinished_runs: Mapped[int] = mapped_column(default=0)
    """Runs in a row that neither came to an end of any kind nor got any further."""
    failures: Mapped[int] = mapped_column(default=0)
    """Failures in a row without getting any further."""
    failure: Mapped[str | None] = mapped_column(Text)
    """Why it failed, in one sentence."""
    voices: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    """How the voices of the mix were named: piece, voice, name, confidence."""
    discarded_jobs: Mapped[list[str]] = mapped_column(JSONB, default=list)
    """Ids of jobs that the provider gave up; their audio may still be there."""
    erased_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the customer, or the plan's days, had it deleted."""
    to_forget: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Whether the provider still has to delete what it keeps."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    pieces: Mapped[list["TranscriptPiece"]] = relationship(
        order_by="TranscriptPiece.number", lazy="raise"
    )


class TranscriptPiece(Base):
    """A piece of the audio: one participant's, or a chunk of the mix."""

    __tablename__ = "transcript_pieces"

    bot_id: Mapped[UUID] = mapped_column(
        ForeignKey("transcripts.bot_id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    """0-based."""
    path: Mapped[str] = mapped_column(Text)
    """The recording's file it is of."""
    participant: Mapped[str | None] = mapped_column(Text)
    """The name of the participant whose voice it holds; null for the mix."""
    start: Mapped[float]
    """Where it begins in that file, in seconds."""
    end: Mapped[float | None]
    """Where it ends; null at the file's end."""
    upload: Mapped[str | None] = mapped_column(Text)
    """Where the provider keeps the audio."""
    uploaded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    job_id: Mapped[str | None] = mapped_column(Text)
    """The provider's id of the work."""
    ordered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    answer: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """The engine's ``Transcription`` as JSON, until the transcript is put together."""
