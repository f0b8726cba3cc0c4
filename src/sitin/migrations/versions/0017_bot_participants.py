"""Under which id of the platform a bot is in its meeting, for the other bots there."""

import sqlalchemy as sa
from alembic import op

revision = "0017_bot_participants"
down_revision = "0016_audit"


def upgrade() -> None:
    op.add_column("bot_leases", sa.Column("participant_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("bot_leases", "participant_id")
