"""Database migrations, applied in order by Alembic."""

HEAD = "0015_jobs"
"""The last of them."""
