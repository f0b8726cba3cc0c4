"""Tables of calendars: connections, their credentials and channels, series, events. Used within.

An event here is one occurrence; every event belongs to a series, one that occurs once to a series
of its own. What is gone from a calendar stays as a cancelled event.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from sitin.bots.models import SECRETS
from sitin.contract.calendars import CalendarPlatform, ConnectionStatus, EventStatus
from sitin.contract.codes import Platform
from sitin.kit.database import Base
from sitin.kit.ids import new_id
from sitin.kit.sealing import SealedFields, SealedText

_NULLABLE_JSON = JSONB(none_as_null=True)


class Connection(Base):
    """A team's connection to one calendar, and how far its events are known."""

    __tablename__ = "calendar_connections"
    __table_args__ = (
        # One team connects a calendar once. Google's ids are addresses, whose case says nothing.
        Index(
            "uq_calendar_connections_calendar",
            "team_id",
            "platform",
            func.lower(text("raw_calendar_id")),
            unique=True,
        ),
        Index(
            "ix_calendar_connections_team_id_created_at",
            "team_id",
            text("created_at DESC"),
            text("id DESC"),
        ),
        Index(
            "ix_calendar_connections_next_sync_at",
            "next_sync_at",
            postgresql_where=text("next_sync_at IS NOT NULL"),
        ),
        CheckConstraint("platform IN ('google', 'microsoft')", name="platform"),
        CheckConstraint(
            "status IN ('active', 'error', 'revoked', 'permission_denied')", name="status"
        ),
        CheckConstraint("sync_status IN ('success', 'failed')", name="sync_status"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"))
    platform: Mapped[CalendarPlatform] = mapped_column(String(16))
    raw_calendar_id: Mapped[str] = mapped_column(Text)
    """The provider's id of the calendar."""
    account_email: Mapped[str] = mapped_column(Text)
    provider_metadata: Mapped[dict[str, Any] | None] = mapped_column(_NULLABLE_JSON)
    """What the provider tells of the calendar: name, address, time zone."""
    status: Mapped[ConnectionStatus] = mapped_column(String(32), default=ConnectionStatus.ACTIVE)
    status_message: Mapped[str | None] = mapped_column(Text)
    """Why it is not active, in one sentence."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    cursor: Mapped[str | None] = mapped_column(Text)
    """For what has changed since the last sync."""
    covers_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """How far the cursor tells; ``None`` for no bound."""
    window_end: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when events have been listed."""
    listing_wanted: Mapped[bool] = mapped_column(default=True)
    """Whether the next sync lists the whole window instead of asking for changes."""
    listed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    synced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    first_synced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the one ``calendar.events_synced`` was sent."""
    sync_status: Mapped[str | None] = mapped_column(String(16))
    sync_error: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    """Syncs in a row that failed."""
    next_sync_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it is synced without being told to; ``None`` while that makes no sense."""
    patient_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """The provider asked not to be asked before."""
    sync_token: Mapped[UUID | None]
    """Of the sync that is under way; only that one may write."""
    sync_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """By the database's clock; a sync that has not renewed it by then counts as dead."""


class Credentials(Base):
    """What a connection reads its calendar with; all texts are encrypted.

    A row of its own, so that whoever refreshes the token may hold it while asking the provider.
    """

    __tablename__ = "calendar_credentials"

    connection_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_connections.id", ondelete="CASCADE"), primary_key=True
    )
    client_id: Mapped[str] = mapped_column(SealedText)
    client_secret: Mapped[str] = mapped_column(SealedText)
    refresh_token: Mapped[str] = mapped_column(SealedText)
    tenant_id: Mapped[str] = mapped_column(SealedText)
    access_token: Mapped[str | None] = mapped_column(SealedText)
    access_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Channel(Base):
    """A subscription at a provider, from before it is asked for until it is known to have ended.

    It outlives its connection, with the credentials to end it, so that nobody goes on pushing.
    """

    __tablename__ = "calendar_channels"
    __table_args__ = (
        Index("ix_calendar_channels_connection_id", "connection_id"),
        Index(
            "ix_calendar_channels_renew_at",
            "renew_at",
            postgresql_where=text("state = 'active'"),
        ),
        CheckConstraint("platform IN ('google', 'microsoft')", name="platform"),
        CheckConstraint("state IN ('asked', 'active', 'ending')", name="state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    """What every notice carries."""
    connection_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("calendar_connections.id", ondelete="SET NULL")
    )
    platform: Mapped[CalendarPlatform] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    """``asked``: the provider may not have answered. ``active``. ``ending``: to be unsubscribed."""
    secret_hash: Mapped[str] = mapped_column(String(64))
    """Of what every notice carries as proof."""
    subscription_id: Mapped[str | None] = mapped_column(Text)
    resource_id: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    renew_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    credentials: Mapped[dict[str, Any] | None] = mapped_column(
        SealedFields("client_id", "client_secret", "refresh_token", "tenant_id", "access_token")
    )
    """Those of a connection that is deleted, encrypted; for ending this channel only."""


class Series(Base):
    """A recurring event's occurrences, or the one of an event that occurs once."""

    __tablename__ = "calendar_series"
    __table_args__ = (
        UniqueConstraint("connection_id", "provider_series_id", name="uq_calendar_series_provider"),
        Index("ix_calendar_series_connection_id_starts_at", "connection_id", "starts_at", "id"),
        Index(
            "ix_calendar_series_wished",
            "connection_id",
            postgresql_where=text("bot IS NOT NULL"),
        ),
        CheckConstraint("event_type IN ('one_off', 'recurring')", name="event_type"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    connection_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_connections.id", ondelete="CASCADE")
    )
    provider_series_id: Mapped[str] = mapped_column(Text)
    """The recurring event's id; of an event that occurs once, its own."""
    event_type: Mapped[str] = mapped_column(String(16))
    family: Mapped[str | None] = mapped_column(Text)
    """The same for a series and those split off it."""
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """The start of the first event of it that is known."""
    bot: Mapped[dict[str, Any] | None] = mapped_column(SealedFields(*SECRETS))
    """The configuration of the bots for all its events, as ``sitin.bots`` stores it."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Event(Base):
    """One occurrence."""

    __tablename__ = "calendar_events"
    __table_args__ = (
        UniqueConstraint("connection_id", "provider_event_id", name="uq_calendar_events_provider"),
        Index("ix_calendar_events_connection_id_start_at", "connection_id", "start_at", "id"),
        Index("ix_calendar_events_connection_id_end_at", "connection_id", "end_at"),
        Index("ix_calendar_events_series_id_start_at", "series_id", "start_at"),
        Index(
            "ix_calendar_events_wished",
            "connection_id",
            "series_id",
            postgresql_where=text("bot IS NOT NULL OR bot_declined"),
        ),
        CheckConstraint("status IN ('confirmed', 'cancelled', 'tentative')", name="status"),
        CheckConstraint("meeting_platform IN ('meet', 'teams', 'zoom')", name="meeting_platform"),
        CheckConstraint("(meeting_platform IS NULL) = (joined_url IS NULL)", name="joined_url"),
        CheckConstraint("end_at >= start_at", name="times"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    connection_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_connections.id", ondelete="CASCADE")
    )
    series_id: Mapped[UUID] = mapped_column(ForeignKey("calendar_series.id", ondelete="CASCADE"))
    provider_event_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(Text)
    start_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    end_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    time_zone: Mapped[str | None] = mapped_column(Text)
    is_all_day: Mapped[bool]
    status: Mapped[EventStatus] = mapped_column(String(16))
    told_exception: Mapped[bool | None]
    """Whether the provider says that it differs from its series; ``None`` when it says nothing."""
    is_exception: Mapped[bool]
    """What it says, or what comparing the occurrences says."""
    is_meeting: Mapped[bool]
    organizer_email: Mapped[str | None] = mapped_column(Text)
    organizer_name: Mapped[str | None] = mapped_column(Text)
    attendees: Mapped[list[dict[str, Any]] | None] = mapped_column(_NULLABLE_JSON)
    meeting_url: Mapped[str | None] = mapped_column(Text)
    """The address found in it, whoever's it is."""
    joined_url: Mapped[str | None] = mapped_column(Text)
    """The normalised address of a meeting on a platform that is known."""
    meeting_platform: Mapped[Platform | None] = mapped_column(String(8))
    bot: Mapped[dict[str, Any] | None] = mapped_column(SealedFields(*SECRETS))
    """The configuration of a bot for this event alone."""
    bot_declined: Mapped[bool] = mapped_column(default=False)
    """The series' bots are not wanted here."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
