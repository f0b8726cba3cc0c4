"""Tables of webhook endpoints, messages, deliveries and attempts. Used within notifications.

A message is one event of one team. A delivery is that message on its way to one destination: a
webhook endpoint or a bot's callback. An attempt is one request of a delivery. A message that is
sent again by hand has a further delivery.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from sitin.kit.database import Base
from sitin.kit.ids import new_id
from sitin.kit.sealing import SealedFields, SealedText


class DeliveryKind(StrEnum):
    """By whose rules a delivery is signed and tried again."""

    WEBHOOK = "webhook"
    CALLBACK = "callback"


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: the last retry failed, the answer was one that is not retried, or ``failure``."""


class WebhookEndpoint(Base):
    """Where a team wants its events sent."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(String(64)))
    """The event types it wants; empty means all."""
    enabled: Mapped[bool] = mapped_column(default=True)
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """The first failed attempt since the last success."""
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    """Why the service disabled it, for a person; ``None`` when a person did."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """It is disabled, has no secret any more and is shown in the log only."""


class WebhookSecret(Base):
    """What an endpoint's messages are signed with; while a rotation overlaps, several at once."""

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        Index("ix_webhook_secrets_endpoint_id", "endpoint_id"),
        Index(
            "uq_webhook_secrets_current",
            "endpoint_id",
            unique=True,
            postgresql_where=text("expires_at IS NULL"),
        ),
        Index(
            "ix_webhook_secrets_expires_at",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    """Sorts by age."""
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    secret: Mapped[str] = mapped_column(SealedText)
    """Encrypted; begins with ``whsec_`` when decrypted."""
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When an old one stops signing and is forgotten; ``None`` for the current one."""


class Message(Base):
    """One event, as every destination is told it."""

    __tablename__ = "notification_messages"
    __table_args__ = (
        Index(
            "ix_notification_messages_team_id_created_at",
            "team_id",
            text("created_at DESC"),
            text("id DESC"),
        ),
        Index("ix_notification_messages_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    """Also the ``svix-id``, the same over all retries."""
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"))
    event: Mapped[str] = mapped_column(String(64))
    bot_id: Mapped[UUID | None] = mapped_column(index=True)
    """The bot it is about."""
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The payload's ``data`` without what is only true at the time of sending."""
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    erased_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when ``data`` holds only what ``erasing.remains`` leaves, and no answer is kept."""


class Delivery(Base):
    """A message on its way to one destination.

    ``due_at`` is when the next attempt is due. A worker that takes a delivery moves it into the
    future by more than an attempt may last; so what a dead worker held becomes due by itself.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "ix_deliveries_team_id_lane_due_at",
            "team_id",
            "lane",
            "due_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_deliveries_due_at", "due_at", postgresql_where=text("state = 'pending'")),
        CheckConstraint("kind IN ('webhook', 'callback')", name="kind"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
        CheckConstraint("(kind = 'webhook') = (endpoint_id IS NOT NULL)", name="destination"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("notification_messages.id"), index=True)
    team_id: Mapped[UUID]
    """The message's, beside the lane: a team shares a bound too."""
    kind: Mapped[DeliveryKind] = mapped_column(String(16))
    lane: Mapped[UUID]
    """Deliveries of one lane share a bound on how many run at once: the endpoint, or the host that
    a team's callbacks go to."""
    endpoint_id: Mapped[UUID | None] = mapped_column(ForeignKey("webhook_endpoints.id"))
    callback: Mapped[dict[str, Any] | None] = mapped_column(SealedFields("secret"))
    """``{"url", "method", "secret": encrypted or null}``; the secret is forgotten at the end."""
    state: Mapped[DeliveryState] = mapped_column(String(16), default=DeliveryState.PENDING)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(default=0)
    """Attempts begun; one that a dying process cut short counts and has no row of its own."""
    first_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failure: Mapped[str | None] = mapped_column(Text)
    """Why it was given up, where no attempt tells."""


class Attempt(Base):
    """One request of a delivery, kept for whoever asks what happened."""

    __tablename__ = "delivery_attempts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.id"), index=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    duration: Mapped[float]
    """Seconds."""
    status: Mapped[int | None]
    """The HTTP status, if an answer came."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why no answer came."""
    answer: Mapped[str | None] = mapped_column(Text)
    """The first kilobyte of the answer's body."""
