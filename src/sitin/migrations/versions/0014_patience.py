"""Until when a provider asked not to be asked about a calendar."""

import sqlalchemy as sa
from alembic import op

revision = "0014_patience"
down_revision = "0013_wishes"


def upgrade() -> None:
    op.add_column(
        "calendar_connections",
        sa.Column("patient_until", sa.DateTime(timezone=True), nullable=True),
    )


def downgrade() -> None:
    op.drop_column("calendar_connections", "patient_until")
