"""Calendars: connections, credentials, channels, series and events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_calendars"
down_revision = "0011_deletion"

JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
PLATFORMS = "platform IN ('google', 'microsoft')"


def _time(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _create_connections()
    _create_channels()
    _create_events()


def _create_connections() -> None:
    op.create_table(
        "calendar_connections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("raw_calendar_id", sa.Text(), nullable=False),
        sa.Column("account_email", sa.Text(), nullable=False),
        sa.Column("provider_metadata", JSON, nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.Column("cursor", sa.Text(), nullable=True),
        _time("covers_until", nullable=True),
        _time("window_end", nullable=True),
        sa.Column("listing_wanted", sa.Boolean(), nullable=False),
        _time("listed_at", nullable=True),
        _time("synced_at", nullable=True),
        _time("first_synced_at", nullable=True),
        sa.Column("sync_status", sa.String(length=16), nullable=True),
        sa.Column("sync_error", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        _time("next_sync_at", nullable=True),
        sa.Column("sync_token", sa.Uuid(), nullable=True),
        _time("sync_until", nullable=True),
        sa.CheckConstraint(PLATFORMS, name=op.f("ck_calendar_connections_platform")),
        sa.CheckConstraint(
            "status IN ('active', 'error', 'revoked', 'permission_denied')",
            name=op.f("ck_calendar_connections_status"),
        ),
        sa.CheckConstraint(
            "sync_status IN ('success', 'failed')",
            name=op.f("ck_calendar_connections_sync_status"),
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name=op.f("fk_calendar_connections_team_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_connections")),
    )
    op.create_index(
        "uq_calendar_connections_calendar",
        "calendar_connections",
        ["team_id", "platform", sa.text("lower(raw_calendar_id)")],
        unique=True,
    )
    op.create_index(
        "ix_calendar_connections_team_id_created_at",
        "calendar_connections",
        ["team_id", sa.text("created_at DESC"), sa.text("id DESC")],
    )
    op.create_index(
        "ix_calendar_connections_next_sync_at",
        "calendar_connections",
        ["next_sync_at"],
        postgresql_where=sa.text("next_sync_at IS NOT NULL"),
    )
    op.create_table(
        "calendar_credentials",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_secret", sa.Text(), nullable=False),
        sa.Column("refresh_token", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("access_token", sa.Text(), nullable=True),
        _time("access_expires_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["calendar_connections.id"],
            name=op.f("fk_calendar_credentials_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_calendar_credentials")),
    )


def _create_channels() -> None:
    op.create_table(
        "calendar_channels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("resource_id", sa.Text(), nullable=True),
        _time("expires_at"),
        _time("renew_at", nullable=True),
        _time("created_at"),
        sa.Column("credentials", JSON, nullable=True),
        sa.CheckConstraint(PLATFORMS, name=op.f("ck_calendar_channels_platform")),
        sa.CheckConstraint(
            "state IN ('asked', 'active', 'ending')", name=op.f("ck_calendar_channels_state")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["calendar_connections.id"],
            name=op.f("fk_calendar_channels_connection_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_channels")),
    )
    op.create_index("ix_calendar_channels_connection_id", "calendar_channels", ["connection_id"])
    op.create_index(
        "ix_calendar_channels_renew_at",
        "calendar_channels",
        ["renew_at"],
        postgresql_where=sa.text("state = 'active'"),
    )


def _create_events() -> None:
    op.create_table(
        "calendar_series",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("provider_series_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.String(length=16), nullable=False),
        sa.Column("family", sa.Text(), nullable=True),
        _time("starts_at"),
        sa.Column("bot", JSON, nullable=True),
        _time("created_at"),
        sa.CheckConstraint(
            "event_type IN ('one_off', 'recurring')", name=op.f("ck_calendar_series_event_type")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["calendar_connections.id"],
            name=op.f("fk_calendar_series_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_series")),
        sa.UniqueConstraint(
            "connection_id", "provider_series_id", name="uq_calendar_series_provider"
        ),
    )
    op.create_index(
        "ix_calendar_series_connection_id_starts_at",
        "calendar_series",
        ["connection_id", "starts_at", "id"],
    )
    op.create_table(
        "calendar_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.Uuid(), nullable=False),
        sa.Column("provider_event_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        _time("start_at"),
        _time("end_at"),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("is_all_day", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("told_exception", sa.Boolean(), nullable=True),
        sa.Column("is_exception", sa.Boolean(), nullable=False),
        sa.Column("is_meeting", sa.Boolean(), nullable=False),
        sa.Column("organizer_email", sa.Text(), nullable=True),
        sa.Column("organizer_name", sa.Text(), nullable=True),
        sa.Column("attendees", JSON, nullable=True),
        sa.Column("meeting_url", sa.Text(), nullable=True),
        sa.Column("joined_url", sa.Text(), nullable=True),
        sa.Column("meeting_platform", sa.String(length=8), nullable=True),
        sa.Column("bot", JSON, nullable=True),
        sa.Column("bot_declined", sa.Boolean(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint(
            "status IN ('confirmed', 'cancelled', 'tentative')",
            name=op.f("ck_calendar_events_status"),
        ),
        sa.CheckConstraint(
            "meeting_platform IN ('meet', 'teams', 'zoom')",
            name=op.f("ck_calendar_events_meeting_platform"),
        ),
        sa.CheckConstraint(
            "(meeting_platform IS NULL) = (joined_url IS NULL)",
            name=op.f("ck_calendar_events_joined_url"),
        ),
        sa.CheckConstraint("end_at >= start_at", name=op.f("ck_calendar_events_times")),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["calendar_connections.id"],
            name=op.f("fk_calendar_events_connection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["calendar_series.id"],
            name=op.f("fk_calendar_events_series_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_events")),
        sa.UniqueConstraint(
            "connection_id", "provider_event_id", name="uq_calendar_events_provider"
        ),
    )
    op.create_index(
        "ix_calendar_events_connection_id_start_at",
        "calendar_events",
        ["connection_id", "start_at", "id"],
    )
    op.create_index(
        "ix_calendar_events_connection_id_end_at", "calendar_events", ["connection_id", "end_at"]
    )
    op.create_index(
        "ix_calendar_events_series_id_start_at", "calendar_events", ["series_id", "start_at"]
    )
