"""Database migrations, applied in order by Alembic."""
