"""Secrets that rotate, deliveries by team, endpoints deleted, messages erased and pruned."""

import sqlalchemy as sa
from alembic import op

revision = "0008_webhooks"
down_revision = "0007_bots"

# An endpoint's first secret is as old as the endpoint; ids sort by age.
MOVE_SECRETS = """
INSERT INTO webhook_secrets (id, endpoint_id, secret) SELECT id, id, secret FROM webhook_endpoints
"""
NAME_TEAMS = """
UPDATE deliveries SET team_id = message.team_id
FROM notification_messages AS message WHERE message.id = deliveries.message_id
"""
FORGET_CALLBACK_SECRETS = """
UPDATE deliveries SET callback = callback || '{"secret": null}'
WHERE state <> 'pending' AND callback IS NOT NULL
"""


def upgrade() -> None:
    _secrets()
    op.add_column(
        "webhook_endpoints", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "notification_messages", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "ix_notification_messages_team_id_created_at",
        "notification_messages",
        ["team_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_notification_messages_created_at", "notification_messages", ["created_at"], unique=False
    )
    _deliveries()


def _secrets() -> None:
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_secrets_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index(
        "ix_webhook_secrets_endpoint_id", "webhook_secrets", ["endpoint_id"], unique=False
    )
    op.create_index(
        "uq_webhook_secrets_current",
        "webhook_secrets",
        ["endpoint_id"],
        unique=True,
        postgresql_where=sa.text("expires_at IS NULL"),
    )
    op.create_index(
        "ix_webhook_secrets_expires_at",
        "webhook_secrets",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.execute(MOVE_SECRETS)
    op.drop_column("webhook_endpoints", "secret")


def _deliveries() -> None:
    op.add_column("deliveries", sa.Column("team_id", sa.Uuid(), nullable=True))
    op.execute(NAME_TEAMS)
    op.alter_column("deliveries", "team_id", nullable=False)
    op.add_column(
        "deliveries", sa.Column("first_attempt_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("deliveries", sa.Column("failure", sa.Text(), nullable=True))
    op.execute(FORGET_CALLBACK_SECRETS)
    op.drop_index("ix_deliveries_lane_due_at", table_name="deliveries")
    op.create_index(
        "ix_deliveries_team_id_lane_due_at",
        "deliveries",
        ["team_id", "lane", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
