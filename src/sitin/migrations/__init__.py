"""Database migrations, applied in order by Alembic."""

HEAD = "0016_audit"
"""The last of them."""
