"""The table of scheduled bots. Used within bots and, through its service, by calendars."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from sitin.bots.models import BotConfiguration, configuration_checks
from sitin.kit.database import Base
from sitin.kit.ids import new_id


class ScheduleStatus(StrEnum):
    """How far a scheduled bot is."""

    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    """Queued as a bot with the same id."""
    FAILED = "failed"
    """Not queued: no tokens, over the cap, another bot was there, or the time was missed."""
    CANCELLED = "cancelled"


class ScheduledBot(BotConfiguration, Base):
    """A bot that is to be queued at a time."""

    __tablename__ = "scheduled_bots"
    __table_args__ = (
        # The next ones to be queued, over all teams.
        Index(
            "ix_scheduled_bots_due", "join_at", "id", postgresql_where=text("status = 'scheduled'")
        ),
        # Lists, earliest first: of a team; of a team by status and platform.
        Index("ix_scheduled_bots_team_id_join_at", "team_id", "join_at", "id"),
        Index(
            "ix_scheduled_bots_team_id_status_platform_join_at",
            "team_id",
            "status",
            "platform",
            "join_at",
            "id",
        ),
        Index(
            "ix_scheduled_bots_event_id",
            "event_id",
            postgresql_where=text("event_id IS NOT NULL"),
        ),
        *configuration_checks(),
        CheckConstraint(
            "status IN ('scheduled', 'completed', 'failed', 'cancelled')", name="status"
        ),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error"),
        CheckConstraint("(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    """Also the bot's, once it is queued."""
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"))
    join_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    status: Mapped[ScheduleStatus] = mapped_column(String(16), default=ScheduleStatus.SCHEDULED)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
