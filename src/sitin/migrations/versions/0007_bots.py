"""Bots, their history, events, participants and leases; the trigger behind the status table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_bots"
down_revision = "0006_notifications"

MOVES = {
    "queued": "joining_call",
    "joining_call": (
        "api_request_stop bot_rejected bot_removed_too_early call_ended "
        "in_call_not_recording in_waiting_for_host in_waiting_room invalid_meeting_url "
        "meeting_error waiting_room_timeout"
    ),
    "in_waiting_room": (
        "api_request_stop bot_rejected bot_removed_too_early call_ended "
        "in_call_not_recording in_waiting_for_host invalid_meeting_url meeting_error "
        "waiting_room_timeout"
    ),
    "in_waiting_for_host": (
        "api_request_stop bot_rejected bot_removed_too_early call_ended "
        "in_call_not_recording in_waiting_room invalid_meeting_url meeting_error "
        "waiting_room_timeout"
    ),
    "in_call_not_recording": (
        "api_request_stop bot_removed bot_removed_too_early call_ended in_call_recording "
        "meeting_error"
    ),
    "in_call_recording": (
        "api_request_stop bot_removed bot_removed_too_early call_ended meeting_error "
        "recording_paused"
    ),
    "recording_paused": (
        "api_request_stop bot_removed bot_removed_too_early call_ended meeting_error "
        "recording_resumed"
    ),
    "recording_resumed": (
        "api_request_stop bot_removed bot_removed_too_early call_ended meeting_error "
        "recording_paused"
    ),
    "api_request_stop": "call_ended failed",
    "bot_rejected": "failed",
    "bot_removed": "call_ended",
    "bot_removed_too_early": "call_ended failed",
    "waiting_room_timeout": "failed",
    "invalid_meeting_url": "failed",
    "meeting_error": "call_ended failed",
    "call_ended": "completed failed recording_failed recording_succeeded",
    "recording_succeeded": "completed transcribing",
    "recording_failed": "failed",
    "transcribing": "completed failed",
}

REFUSE_ILLEGAL_MOVES = """
CREATE FUNCTION refuse_illegal_bot_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT EXISTS (
        SELECT 1 FROM bot_status_moves
        WHERE from_status = OLD.status AND to_status = NEW.status
    ) THEN
        RAISE EXCEPTION 'bot % is % and may not become %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""
ATTACH = """
CREATE TRIGGER refuse_illegal_bot_status BEFORE UPDATE OF status ON bots
FOR EACH ROW EXECUTE FUNCTION refuse_illegal_bot_status()
"""


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("bot_fencing_tokens")))
    op.create_table(
        "bot_status_moves",
        sa.Column("from_status", sa.String(length=32), nullable=False),
        sa.Column("to_status", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("from_status", "to_status", name=op.f("pk_bot_status_moves")),
    )
    op.create_table(
        "bots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bot_name", sa.String(length=255), nullable=False),
        sa.Column("bot_image", sa.Text(), nullable=True),
        sa.Column("meeting_url", sa.Text(), nullable=False),
        sa.Column("joined_url", sa.Text(), nullable=False),
        sa.Column("platform", sa.String(length=8), nullable=False),
        sa.Column("recording_mode", sa.String(length=16), nullable=False),
        sa.Column("allow_multiple_bots", sa.Boolean(), nullable=False),
        sa.Column("entry_message", sa.Text(), nullable=True),
        sa.Column("waiting_room_timeout", sa.Integer(), nullable=False),
        sa.Column("no_one_joined_timeout", sa.Integer(), nullable=False),
        sa.Column("silence_timeout", sa.Integer(), nullable=False),
        sa.Column("zoom_access_token_url", sa.Text(), nullable=True),
        sa.Column(
            "extra", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("streaming_enabled", sa.Boolean(), nullable=False),
        sa.Column(
            "streaming_config",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column("transcription_enabled", sa.Boolean(), nullable=False),
        sa.Column(
            "transcription_params",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column("transcription_api_key", sa.Text(), nullable=True),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("callback_method", sa.String(length=4), nullable=False),
        sa.Column("callback_secret", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("launches", sa.Integer(), nullable=False),
        sa.Column("leave_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recording_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration", sa.Double(), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("artifacts_deleted", sa.Boolean(), nullable=False),
        sa.Column("transcription_status", sa.String(length=16), nullable=False),
        sa.Column("transcription_provider", sa.String(length=64), nullable=True),
        sa.Column(
            "transcription_ids",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(status = 'failed') = (error_code IS NOT NULL)", name=op.f("ck_bots_error")
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed')) = (ended_at IS NOT NULL)", name=op.f("ck_bots_end")
        ),
        sa.CheckConstraint(
            "callback_method IN ('POST', 'PUT')", name=op.f("ck_bots_callback_method")
        ),
        sa.CheckConstraint("platform IN ('meet', 'teams', 'zoom')", name=op.f("ck_bots_platform")),
        sa.CheckConstraint(
            "recording_mode IN ('speaker_view', 'gallery_view', 'audio_only')",
            name=op.f("ck_bots_recording_mode"),
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_bots_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bots")),
    )
    op.create_index(
        "ix_bots_queued",
        "bots",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_bots_team_id_created_at",
        "bots",
        ["team_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "bot_status_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_status_changes_bot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot_status_changes")),
    )
    op.create_index(
        "ix_bot_status_changes_bot_id_id", "bot_status_changes", ["bot_id", "id"], unique=False
    )
    op.create_table(
        "bot_events",
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_events_bot_id")),
        sa.PrimaryKeyConstraint("bot_id", "fencing_token", "seq", name=op.f("pk_bot_events")),
    )
    op.create_table(
        "bot_participants",
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spoke", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_participants_bot_id")),
        sa.PrimaryKeyConstraint("bot_id", "participant_id", name=op.f("pk_bot_participants")),
    )
    op.create_table(
        "bot_leases",
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("host_id", sa.Uuid(), nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "taken_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_leases_bot_id")),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_bot_leases")),
    )
    op.create_index("ix_bot_leases_expires_at", "bot_leases", ["expires_at"], unique=False)
    op.create_index("ix_bot_leases_host_id", "bot_leases", ["host_id"], unique=False)
    op.bulk_insert(
        sa.table("bot_status_moves", sa.column("from_status"), sa.column("to_status")),
        [
            {"from_status": current, "to_status": following}
            for current, all_following in MOVES.items()
            for following in all_following.split()
        ],
    )
    op.execute(REFUSE_ILLEGAL_MOVES)
    op.execute(ATTACH)
