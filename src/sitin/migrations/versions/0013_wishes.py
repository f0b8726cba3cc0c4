"""What is wanted of a calendar's series and occurrences, found without reading all of them."""

from alembic import op
from sqlalchemy import text

revision = "0013_wishes"
down_revision = "0012_calendars"


def upgrade() -> None:
    op.create_index(
        "ix_calendar_series_wished",
        "calendar_series",
        ["connection_id"],
        postgresql_where=text("bot IS NOT NULL"),
    )
    op.create_index(
        "ix_calendar_events_wished",
        "calendar_events",
        ["connection_id", "series_id"],
        postgresql_where=text("bot IS NOT NULL OR bot_declined"),
    )


def downgrade() -> None:
    op.drop_index("ix_calendar_events_wished", "calendar_events")
    op.drop_index("ix_calendar_series_wished", "calendar_series")
