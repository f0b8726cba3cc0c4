"""Tables of teams, API keys, tokens, write limits, the audit log and idempotency keys.

Used within accounts.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    String,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from sitin.kit.database import Base
from sitin.kit.ids import new_id
from sitin.kit.sealing import SealedText


class Permission(StrEnum):
    """What an API key may do."""

    FULL_ACCESS = "full_access"
    SENDING_ACCESS = "sending_access"


LONGEST_NAME = 255
"""Characters of a team's name."""


class Team(Base):
    """Who owns bots, keys and webhook endpoints."""

    __tablename__ = "teams"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    plan: Mapped[str] = mapped_column(String(64))
    """The name of a plan; ``sitin.accounts.plans`` tells what it allows."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ApiKey(Base):
    """A key; the text itself is shown once and never stored."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("permission IN ('full_access', 'sending_access')", name="permission"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"), index=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    """As ``sitin.kit.crypto.hash_api_key`` makes it."""
    permission: Mapped[Permission] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Exact to a minute."""
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class EntryKind(StrEnum):
    """What a line of the token ledger does."""

    GRANT = "grant"
    RESERVE = "reserve"
    """A queued bot holds tokens back."""
    RELEASE = "release"
    """A bot that has ended gives back what it held."""
    CONSUME = "consume"
    """A bot that has ended has used tokens."""


_AMOUNT = Numeric(20, 6)
LARGEST_AMOUNT = Decimal("99999999999999.999999")
"""What such a column holds at most."""


class TokenAccount(Base):
    """The totals of a team's ledger; its row is locked by whoever decides by them."""

    __tablename__ = "token_accounts"
    __table_args__ = (CheckConstraint("reserved >= 0", name="reserved"),)

    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"), primary_key=True)
    granted: Mapped[Decimal] = mapped_column(_AMOUNT, default=Decimal(0), server_default=text("0"))
    consumed: Mapped[Decimal] = mapped_column(_AMOUNT, default=Decimal(0), server_default=text("0"))
    reserved: Mapped[Decimal] = mapped_column(_AMOUNT, default=Decimal(0), server_default=text("0"))

    @property
    def balance(self) -> Decimal:
        """Tokens not used yet; below zero when a bot stayed longer than there were tokens for."""
        return self.granted - self.consumed

    @property
    def available(self) -> Decimal:
        """Tokens neither used nor held back."""
        return self.balance - self.reserved


class TokenEntry(Base):
    """A line of the ledger; a trigger lets nobody change or remove one."""

    __tablename__ = "token_entries"
    __table_args__ = (
        Index("ix_token_entries_team_id_id", "team_id", "id"),
        # A bot holds, gives back and uses once.
        Index(
            "uq_token_entries_bot_id_kind",
            "bot_id",
            "kind",
            unique=True,
            postgresql_where=text("bot_id IS NOT NULL"),
        ),
        CheckConstraint("kind IN ('grant', 'reserve', 'release', 'consume')", name="kind"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(kind = 'grant') = (bot_id IS NULL)", name="bot"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"))
    kind: Mapped[EntryKind] = mapped_column(String(16))
    amount: Mapped[Decimal] = mapped_column(_AMOUNT)
    bot_id: Mapped[UUID | None]
    parts: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    """What a bot used, by part: recording, waiting, transcription, streaming."""
    note: Mapped[str | None] = mapped_column(Text)
    """Why tokens were granted."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class WriteBucket(Base):
    """How much a team may write at a moment; not logged, a crash fills it."""

    __tablename__ = "write_buckets"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - SQLAlchemy's form

    team_id: Mapped[UUID] = mapped_column(primary_key=True)
    level: Mapped[float]
    """Writes left at ``at``."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ActorKind(StrEnum):
    """Who made a change."""

    API_KEY = "api_key"
    CLI = "cli"


class AuditEntry(Base):
    """A change that was made or tried; a trigger lets nobody alter one."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_team_id_at_id", "team_id", "at", "id"),
        Index("ix_audit_entries_object_ids", "object_ids", postgresql_using="gin"),
        CheckConstraint("actor_kind IN ('api_key', 'cli')", name="actor_kind"),
    )

    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    team_id: Mapped[UUID | None]
    actor_kind: Mapped[ActorKind] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(Text)
    """The API key's id, or the operating system's user who ran a command."""
    action: Mapped[str] = mapped_column(Text)
    """The API's operation id, or a command such as ``key revoke``."""
    object_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """What was created, changed or deleted."""
    outcome: Mapped[str] = mapped_column(Text)
    """``succeeded``, ``partial``, ``failed``, or an error's code."""
    client: Mapped[str | None] = mapped_column(Text)
    """The address that a request came from, or the host that a command ran on."""
    request_id: Mapped[str | None] = mapped_column(Text)


class IdempotencyKey(Base):
    """The response to a request with an idempotency key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_object_ids", "object_ids", postgresql_using="gin"),
    )

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """SHA-256 of team and key; the key itself is not stored."""
    response: Mapped[str] = mapped_column(SealedText)
    """JSON: the hash of the request, the status and the body of the response."""
    object_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """The objects that the response names."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
