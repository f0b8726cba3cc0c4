"""The table of stored artifacts. For this room."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sitin.kit.database import Base


class Artifact(Base):
    """A file of a bot in the object store."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("key"), Index(None, "bot_id", "kind", "number"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bot_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(32))
    """An ``ArtifactKind``."""
    key: Mapped[str] = mapped_column(String(512))
    """In the object store: ``bots/<bot id>/<path in the recording directory>``."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    content_type: Mapped[str] = mapped_column(String(128))
    participant_id: Mapped[str | None] = mapped_column(Text)
    """Whose voice it is, for ``participant_audio``; emptied with the deletion."""
    number: Mapped[int | None]
    """1-based, for ``screenshot``."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Set in the transaction that takes it from the customer; the object goes afterwards."""
