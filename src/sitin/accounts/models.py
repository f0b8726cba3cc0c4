"""Tables of teams and API keys. Used within accounts."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from sitin.kit.database import Base
from sitin.kit.ids import new_id


class Permission(StrEnum):
    """What an API key may do."""

    FULL_ACCESS = "full_access"
    SENDING_ACCESS = "sending_access"


class Team(Base):
    """Who owns bots, keys and webhook endpoints."""

    __tablename__ = "teams"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(255))
    plan: Mapped[str] = mapped_column(String(64))
    """The name of a plan in ``sitin.accounts.plans``."""
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
