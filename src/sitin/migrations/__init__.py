"""Database migrations, applied in order by Alembic."""

HEAD = "0017_bot_participants"
"""The last of them."""
