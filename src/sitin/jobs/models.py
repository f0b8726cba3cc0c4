"""Table of jobs."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from sitin.kit.database import Base


class JobState(StrEnum):
    """State of a job. A job that has been done is deleted."""

    WAITING = "waiting"
    RUNNING = "running"
    DEAD_LETTERED = "dead_lettered"
    """It failed too often in a row and waits for the operator."""


class Job(Base):
    """A job, waiting or running.

    Attributes:
        task: A ``Task``, or ``periodic:NAME`` for a periodic task.
        key: At most one job of a task waits under a key.
        run_at: Earliest start of a waiting job; end of the lease of a running one.
        attempts: Starts since the last success, including those that ended with their process.
        lease_token: Identifies the run. Only its owner may extend or end it.
        error: Type of the last exception. Its text is not kept, as it may be a customer's.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'running', 'dead_lettered')"
            " AND (state = 'running') = (lease_token IS NOT NULL)",
            name="state",
        ),
        Index(
            "uq_jobs_waiting_key",
            "task",
            "key",
            unique=True,
            postgresql_where=text("state = 'waiting' AND key IS NOT NULL"),
        ),
        Index(
            "ix_jobs_due",
            "task",
            "run_at",
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
        Index("ix_jobs_dead_lettered", "id", postgresql_where=text("state = 'dead_lettered'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    task: Mapped[str] = mapped_column(Text)
    key: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[JobState] = mapped_column(Text, server_default=JobState.WAITING)
    run_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease_token: Mapped[UUID | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
