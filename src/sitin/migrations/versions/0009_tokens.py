"""Token accounts and their ledger, and how much teams may write."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009_tokens"
down_revision = "0008_webhooks"

REFUSE_CHANGES = """
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the token ledger is only ever added to' USING ERRCODE = 'check_violation';
END $$
"""
ATTACH = """
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE OR DELETE OR TRUNCATE ON token_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()
"""
OPEN_ACCOUNTS = "INSERT INTO token_accounts (team_id) SELECT id FROM teams"


def upgrade() -> None:
    op.create_table(
        "token_accounts",
        sa.Column("team_id", sa.Uuid(), nullable=False),
        *(
            sa.Column(name, sa.Numeric(20, 6), server_default=sa.text("0"), nullable=False)
            for name in ("granted", "consumed", "reserved")
        ),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_token_accounts_reserved")),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_token_accounts_team_id")),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_token_accounts")),
    )
    op.create_table(
        "token_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Numeric(20, 6), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=True),
        sa.Column(
            "parts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('grant', 'reserve', 'release', 'consume')", name=op.f("ck_token_entries_kind")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_token_entries_amount")),
        sa.CheckConstraint(
            "(kind = 'grant') = (bot_id IS NULL)", name=op.f("ck_token_entries_bot")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_token_entries_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_entries")),
    )
    op.create_index("ix_token_entries_team_id_id", "token_entries", ["team_id", "id"])
    op.create_index(
        "uq_token_entries_bot_id_kind",
        "token_entries",
        ["bot_id", "kind"],
        unique=True,
        postgresql_where=sa.text("bot_id IS NOT NULL"),
    )
    op.create_table(
        "write_buckets",
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_write_buckets")),
        prefixes=["UNLOGGED"],
    )
    op.execute(REFUSE_CHANGES)
    op.execute(ATTACH)
    op.execute(OPEN_ACCOUNTS)
