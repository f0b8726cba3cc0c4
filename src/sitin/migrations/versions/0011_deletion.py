"""Transcripts that were erased, and those that a provider still has to delete."""

import sqlalchemy as sa
from alembic import op

revision = "0011_deletion"
down_revision = "0010_scheduled_bots"


def upgrade() -> None:
    op.add_column("transcripts", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "transcripts",
        sa.Column("to_forget", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
