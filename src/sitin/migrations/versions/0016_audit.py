"""The audit log, and the responses to requests with an idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "0016_audit"
down_revision = "0015_jobs"

REFUSE_CHANGES = """
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'check_violation';
END $$
"""
ATTACH = """
CREATE TRIGGER refuse_audit_change BEFORE UPDATE OR TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
"""


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "actor_kind IN ('api_key', 'cli')", name=op.f("ck_audit_entries_actor_kind")
        ),
        sa.PrimaryKeyConstraint("at", "id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_team_id_at_id", "audit_entries", ["team_id", "at", "id"])
    op.create_index(
        "ix_audit_entries_object_ids", "audit_entries", ["object_ids"], postgresql_using="gin"
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("object_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_index(
        "ix_idempotency_keys_object_ids",
        "idempotency_keys",
        ["object_ids"],
        postgresql_using="gin",
    )
    op.execute(REFUSE_CHANGES)
    op.execute(ATTACH)


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("audit_entries")
    op.execute("DROP FUNCTION refuse_audit_change()")
