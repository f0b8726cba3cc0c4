"""Database migrations, applied in order by Alembic."""

HEAD = "0014_patience"
"""The last of them."""
