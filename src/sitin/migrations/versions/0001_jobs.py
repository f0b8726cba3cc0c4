"""PgQueuer's own tables, in ``0001_jobs.sql`` as its generator writes them.

The queue and the schedules survive a power failure; the log of what ran need not (durability
``balanced``). A test compares the result with what the installed PgQueuer asks for.
"""

from pathlib import Path

from alembic import op

revision = "0001_jobs"
down_revision = None


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # A script of many statements goes to the driver as it is; SQLAlchemy would prepare it as one.
    connection.run_async(lambda driver: driver.execute(script))
