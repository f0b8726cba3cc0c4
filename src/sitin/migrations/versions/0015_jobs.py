"""Replace PgQueuer's tables by a table of jobs of our own; jobs that wait or run are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015_jobs"
down_revision = "0014_patience"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default="waiting"),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease_token", sa.Uuid()),
        sa.Column("error", sa.Text()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'dead_lettered')"
            " AND (state = 'running') = (lease_token IS NOT NULL)",
            name=op.f("ck_jobs_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "uq_jobs_waiting_key",
        "jobs",
        ["task", "key"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting' AND key IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["task", "run_at"],
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.create_index(
        "ix_jobs_dead_lettered",
        "jobs",
        ["id"],
        postgresql_where=sa.text("state = 'dead_lettered'"),
    )
    # A key was stored with its task in front: while a job ran, in its headers.
    op.execute(
        """
        INSERT INTO jobs (task, key, payload, state, run_at, created_at)
        SELECT entrypoint, key, convert_from(payload, 'UTF8')::jsonb,
            CASE status WHEN 'failed' THEN 'dead_lettered' ELSE 'waiting' END,
            execute_after, created
        FROM pgqueuer, LATERAL (
            SELECT substring(coalesce(dedupe_key, headers->>'key')
                FROM length(entrypoint) + 2) AS key) AS stored
        WHERE status IN ('queued', 'picked', 'failed') AND payload IS NOT NULL
        ORDER BY id
        ON CONFLICT DO NOTHING
        """
    )
    for table in ("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION fn_pgqueuer_changed()")
    op.execute("DROP TYPE pgqueuer_status")
    op.execute(
        """
        ALTER TABLE jobs SET (
            autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
            autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 500)
        """
    )
