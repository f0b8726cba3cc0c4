"""Scheduled bots, and indexes for lists by status, platform, parts of texts and ``extra``."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_scheduled_bots"
down_revision = "0009_tokens"

# Every three letters of each text, with the text's number before them.
TEXT_GRAMS = """
CREATE FUNCTION text_grams(first text, second text, third text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    grams text[] := '{}';
    part text;
    number int := 0;
BEGIN
    FOREACH part IN ARRAY ARRAY[lower(first), lower(second), lower(third)] LOOP
        number := number + 1;
        FOR at IN 1 .. length(part) - 2 LOOP
            grams := grams || (number::text || substr(part, at, 3));
        END LOOP;
    END LOOP;
    RETURN grams;
END $$
"""
EXTRA_PAIR = """
CREATE FUNCTION extra_pair(field text, value text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT md5(field || chr(31) || value)::uuid
$$
"""
NOTE_TEXTS = """
CREATE FUNCTION note_bot_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bot_texts (bot_id, bot_name, meeting_url)
    SELECT id, bot_name, meeting_url FROM new_bots;
    RETURN NULL;
END $$
"""
ON_CREATION = """
CREATE TRIGGER note_bot_texts AFTER INSERT ON bots REFERENCING NEW TABLE AS new_bots
FOR EACH STATEMENT EXECUTE FUNCTION note_bot_texts()
"""
KEEP_PAIRS = """
CREATE FUNCTION keep_bot_extra_pairs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM bot_extra_pairs WHERE bot_id = NEW.id;
    INSERT INTO bot_extra_pairs (bot_id, pair, team_id, created_at)
    SELECT DISTINCT NEW.id, extra_pair(key, value), NEW.team_id, NEW.created_at
    FROM jsonb_each_text(coalesce(NEW.extra, '{}'::jsonb)) WHERE value IS NOT NULL;
    RETURN NULL;
END $$
"""
ON_INSERT = """
CREATE TRIGGER keep_bot_extra_pairs_of_new AFTER INSERT ON bots
FOR EACH ROW WHEN (NEW.extra IS NOT NULL) EXECUTE FUNCTION keep_bot_extra_pairs()
"""
ON_UPDATE = """
CREATE TRIGGER keep_bot_extra_pairs AFTER UPDATE OF extra ON bots
FOR EACH ROW WHEN (NEW.extra IS DISTINCT FROM OLD.extra) EXECUTE FUNCTION keep_bot_extra_pairs()
"""
GRAMS = sa.text("text_grams(bot_name, bot_id::text, meeting_url)")

JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def configuration() -> list[sa.Column[object]]:
    """The columns that bots and scheduled bots share, as they are at this revision."""
    return [
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
        sa.Column("extra", JSON, nullable=True),
        sa.Column("streaming_enabled", sa.Boolean(), nullable=False),
        sa.Column("streaming_config", JSON, nullable=True),
        sa.Column("transcription_enabled", sa.Boolean(), nullable=False),
        sa.Column("transcription_params", JSON, nullable=True),
        sa.Column("transcription_api_key", sa.Text(), nullable=True),
        sa.Column("callback_enabled", sa.Boolean(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("callback_method", sa.String(length=4), nullable=False),
        sa.Column("callback_secret", sa.Text(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
    ]


def upgrade() -> None:
    op.execute(TEXT_GRAMS)
    op.execute(EXTRA_PAIR)
    _extend_bots()
    _create_texts()
    _create_pairs()
    _create_scheduled_bots()


def _extend_bots() -> None:
    op.add_column("bots", sa.Column("event_id", sa.Uuid(), nullable=True))
    op.add_column("bots", sa.Column("callback_enabled", sa.Boolean(), nullable=True))
    # A callback was kept only where it was enabled.
    op.execute("UPDATE bots SET callback_enabled = callback_url IS NOT NULL")
    op.alter_column("bots", "callback_enabled", nullable=False)
    op.create_check_constraint(
        op.f("ck_bots_callback"), "bots", "NOT callback_enabled OR callback_url IS NOT NULL"
    )
    op.create_index(
        "ix_bots_team_id_status_platform_created_at",
        "bots",
        ["team_id", "status", "platform", sa.text("created_at DESC"), sa.text("id DESC")],
    )
    op.create_index("ix_bots_team_id_ended_at", "bots", ["team_id", "ended_at"])
    op.create_index(
        "ix_bots_event_id",
        "bots",
        ["event_id"],
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index(
        "ix_bots_kept",
        "bots",
        ["team_id", "ended_at"],
        postgresql_where=sa.text("NOT artifacts_deleted AND ended_at IS NOT NULL"),
    )


def _create_texts() -> None:
    op.create_table(
        "bot_texts",
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("bot_name", sa.Text(), nullable=False),
        sa.Column("meeting_url", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bot_id"], ["bots.id"], name=op.f("fk_bot_texts_bot_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_bot_texts")),
    )
    op.execute("INSERT INTO bot_texts SELECT id, bot_name, meeting_url FROM bots")
    op.create_index("ix_bot_texts_grams", "bot_texts", [GRAMS], postgresql_using="gin")
    op.execute(NOTE_TEXTS)
    op.execute(ON_CREATION)


def _create_pairs() -> None:
    op.create_table(
        "bot_extra_pairs",
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("pair", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["bot_id"], ["bots.id"], name=op.f("fk_bot_extra_pairs_bot_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bot_id", "pair", name=op.f("pk_bot_extra_pairs")),
    )
    op.create_index(
        "ix_bot_extra_pairs_team_id_pair_created_at",
        "bot_extra_pairs",
        ["team_id", "pair", sa.text("created_at DESC"), sa.text("bot_id DESC")],
    )
    op.execute(KEEP_PAIRS)
    op.execute(ON_INSERT)
    op.execute(
        """
        INSERT INTO bot_extra_pairs (bot_id, pair, team_id, created_at)
        SELECT DISTINCT bots.id, extra_pair(key, value), team_id, created_at
        FROM bots, jsonb_each_text(extra) WHERE extra IS NOT NULL AND value IS NOT NULL
        """
    )
    op.execute(ON_UPDATE)


def _create_scheduled_bots() -> None:
    op.create_table(
        "scheduled_bots",
        *configuration(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("join_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_scheduled_bots_{name}"))
            for name, condition in {
                "platform": "platform IN ('meet', 'teams', 'zoom')",
                "recording_mode": (
                    "recording_mode IN ('speaker_view', 'gallery_view', 'audio_only')"
                ),
                "callback_method": "callback_method IN ('POST', 'PUT')",
                "callback": "NOT callback_enabled OR callback_url IS NOT NULL",
                "status": "status IN ('scheduled', 'completed', 'failed', 'cancelled')",
                "error": "(status = 'failed') = (error_code IS NOT NULL)",
                "cancelled": "(status = 'cancelled') = (cancelled_at IS NOT NULL)",
            }.items()
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_scheduled_bots_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_bots")),
    )
    op.create_index(
        "ix_scheduled_bots_due",
        "scheduled_bots",
        ["join_at", "id"],
        postgresql_where=sa.text("status = 'scheduled'"),
    )
    op.create_index(
        "ix_scheduled_bots_team_id_join_at", "scheduled_bots", ["team_id", "join_at", "id"]
    )
    op.create_index(
        "ix_scheduled_bots_team_id_status_platform_join_at",
        "scheduled_bots",
        ["team_id", "status", "platform", "join_at", "id"],
    )
    op.create_index(
        "ix_scheduled_bots_event_id",
        "scheduled_bots",
        ["event_id"],
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
