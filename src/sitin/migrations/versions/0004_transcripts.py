"""Transcripts and the pieces of audio they are made of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004_transcripts"
down_revision = "0002_artifacts"


def upgrade() -> None:
    op.create_table(
        "transcripts",
        sa.Column("bot_id", sa.Uuid, primary_key=True),
        sa.Column("engine", sa.String(64), nullable=False),
        sa.Column("params", JSONB, nullable=False),
        sa.Column("api_key", sa.Text),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("duration", sa.Float, nullable=False),
        sa.Column("diarization_path", sa.Text),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("unfinished_runs", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("voices", JSONB),
        sa.Column("discarded_jobs", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "status IN ('queued', 'processing', 'done', 'error')",
            name=op.f("ck_transcripts_status"),
        ),
    )
    op.create_table(
        "transcript_pieces",
        sa.Column(
            "bot_id",
            sa.Uuid,
            sa.ForeignKey("transcripts.bot_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("participant", sa.Text),
        sa.Column("start", sa.Float, nullable=False),
        sa.Column("end", sa.Float),
        sa.Column("upload", sa.Text),
        sa.Column("uploaded_at", sa.DateTime(timezone=True)),
        sa.Column("job_id", sa.Text),
        sa.Column("ordered_at", sa.DateTime(timezone=True)),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("answer", sa.LargeBinary),
    )
