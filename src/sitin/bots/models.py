"""Tables of bots: the bot, its history, its events, who was there, who runs it. Within bots."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Sequence,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from sitin.contract.codes import BotStatus, Platform, RecordingMode, TranscriptionStatus
from sitin.kit.database import Base
from sitin.kit.ids import new_id
from sitin.kit.sealing import SealedText

fencing_tokens = Sequence("bot_fencing_tokens", metadata=Base.metadata)
"""Every lease gets the next number; of two leases the one with the higher number holds."""

_NULLABLE_JSON = JSONB(none_as_null=True)


class BotConfiguration:
    """What a customer asks of a bot: the columns of every table of bots, queued or yet to come."""

    bot_name: Mapped[str] = mapped_column(String(255))
    bot_image: Mapped[str | None] = mapped_column(Text)
    meeting_url: Mapped[str] = mapped_column(Text)
    """As the customer wrote it, or the normalised address where that was no address."""
    joined_url: Mapped[str] = mapped_column(Text)
    """The normalised address, which the bot opens."""
    platform: Mapped[Platform] = mapped_column(String(8))
    recording_mode: Mapped[RecordingMode] = mapped_column(String(16))
    allow_multiple_bots: Mapped[bool]
    entry_message: Mapped[str | None] = mapped_column(Text)
    waiting_room_timeout: Mapped[int]
    """Seconds, as the two below."""
    no_one_joined_timeout: Mapped[int]
    silence_timeout: Mapped[int]
    zoom_access_token_url: Mapped[str | None] = mapped_column(Text)
    extra: Mapped[dict[str, Any] | None] = mapped_column(_NULLABLE_JSON)
    streaming_enabled: Mapped[bool]
    streaming_config: Mapped[dict[str, Any] | None] = mapped_column(_NULLABLE_JSON)
    transcription_enabled: Mapped[bool]
    transcription_params: Mapped[dict[str, Any] | None] = mapped_column(_NULLABLE_JSON)
    """The customer's parameters for the engine, passed on unchanged."""
    transcription_api_key: Mapped[str | None] = mapped_column(SealedText)
    """The customer's own key, encrypted."""
    callback_enabled: Mapped[bool]
    callback_url: Mapped[str | None] = mapped_column(Text)
    callback_method: Mapped[str] = mapped_column(String(4))
    callback_secret: Mapped[str | None] = mapped_column(SealedText)
    """Encrypted."""
    event_id: Mapped[UUID | None]
    """The calendar event that the bot goes to, if it does so because of one."""


CONFIGURATION = tuple(name for name in BotConfiguration.__annotations__ if not name.startswith("_"))
"""The names of those columns."""

SECRETS = ("transcription_api_key", "callback_secret")
"""The names of those that are encrypted."""


def configuration_checks() -> tuple[CheckConstraint, ...]:
    """What holds of those columns in each of the tables."""
    return (
        CheckConstraint("platform IN ('meet', 'teams', 'zoom')", name="platform"),
        CheckConstraint(
            "recording_mode IN ('speaker_view', 'gallery_view', 'audio_only')",
            name="recording_mode",
        ),
        CheckConstraint("callback_method IN ('POST', 'PUT')", name="callback_method"),
        CheckConstraint("NOT callback_enabled OR callback_url IS NOT NULL", name="callback"),
    )


class Bot(BotConfiguration, Base):
    """A bot: what was asked for, and how far it is."""

    __tablename__ = "bots"
    __table_args__ = (
        # Lists, newest first: of a team; of a team by status and platform.
        Index("ix_bots_team_id_created_at", "team_id", text("created_at DESC"), text("id DESC")),
        Index(
            "ix_bots_team_id_status_platform_created_at",
            "team_id",
            "status",
            "platform",
            text("created_at DESC"),
            text("id DESC"),
        ),
        Index("ix_bots_team_id_ended_at", "team_id", "ended_at"),
        Index("ix_bots_event_id", "event_id", postgresql_where=text("event_id IS NOT NULL")),
        # The queue: what no worker has taken yet, oldest first.
        Index("ix_bots_queued", "created_at", "id", postgresql_where=text("status = 'queued'")),
        # What the sweep by the plan's days has to look at.
        Index(
            "ix_bots_kept",
            "team_id",
            "ended_at",
            postgresql_where=text("NOT artifacts_deleted AND ended_at IS NOT NULL"),
        ),
        *configuration_checks(),
        CheckConstraint("(status IN ('completed', 'failed')) = (ended_at IS NOT NULL)", name="end"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    status: Mapped[BotStatus] = mapped_column(String(32))
    """Changed by ``sitin.bots.lifecycle.change_status`` only; a trigger refuses illegal moves."""
    status_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    launches: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken it from the queue."""
    leave_requested_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    joined_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    recording_started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    exited_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    duration: Mapped[float | None]
    """Seconds recorded."""
    stored_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When everything the runner left was stored."""
    artifacts_deleted: Mapped[bool] = mapped_column(default=False)
    transcription_status: Mapped[TranscriptionStatus] = mapped_column(String(16))
    transcription_provider: Mapped[str | None] = mapped_column(String(64))
    """The engine asked for, from the end of the work on the engine that did it."""
    transcription_ids: Mapped[list[str] | None] = mapped_column(_NULLABLE_JSON)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)


class BotTexts(Base):
    """The texts of a bot that lists look for parts of; written by a trigger when it is created.

    A table of its own, because every change of a bot's status would else write its index anew.
    """

    __tablename__ = "bot_texts"
    __table_args__ = (
        Index(
            "ix_bot_texts_grams",
            text("text_grams(bot_name, bot_id::text, meeting_url)"),
            postgresql_using="gin",
        ),
    )

    bot_id: Mapped[UUID] = mapped_column(
        ForeignKey("bots.id", ondelete="CASCADE"), primary_key=True
    )
    bot_name: Mapped[str] = mapped_column(Text)
    meeting_url: Mapped[str] = mapped_column(Text)


class ExtraPair(Base):
    """A field of a bot's ``extra`` and its value, for the lists that ask for it; kept by triggers.

    A list by such a pair reads its index in the list's own order, however many bots have the pair.
    """

    __tablename__ = "bot_extra_pairs"
    __table_args__ = (
        Index(
            "ix_bot_extra_pairs_team_id_pair_created_at",
            "team_id",
            "pair",
            text("created_at DESC"),
            text("bot_id DESC"),
        ),
    )

    bot_id: Mapped[UUID] = mapped_column(
        ForeignKey("bots.id", ondelete="CASCADE"), primary_key=True
    )
    pair: Mapped[UUID] = mapped_column(primary_key=True)
    """What ``extra_pair`` of the database makes of field and value: their MD5."""
    team_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """The bot's, as the team."""


class StatusMove(Base):
    """One allowed change of status: the table of ``sitin.bots.statuses``, for the trigger."""

    __tablename__ = "bot_status_moves"

    from_status: Mapped[str] = mapped_column(String(32), primary_key=True)
    to_status: Mapped[str] = mapped_column(String(32), primary_key=True)


class StatusChange(Base):
    """A line of a bot's history; the first one is ``queued``."""

    __tablename__ = "bot_status_changes"
    __table_args__ = (Index("ix_bot_status_changes_bot_id_id", "bot_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bot_id: Mapped[UUID] = mapped_column(ForeignKey("bots.id"))
    status: Mapped[BotStatus] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    message: Mapped[str | None] = mapped_column(Text)


class Event(Base):
    """An event of a runner that has been applied."""

    __tablename__ = "bot_events"

    bot_id: Mapped[UUID] = mapped_column(ForeignKey("bots.id"), primary_key=True)
    fencing_token: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Whose numbering it is: every runner of a bot counts from 1."""
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Participant(Base):
    """Somebody other than the bot who was in the meeting."""

    __tablename__ = "bot_participants"

    bot_id: Mapped[UUID] = mapped_column(ForeignKey("bots.id"), primary_key=True)
    participant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    """As the platform names the device or user."""
    number: Mapped[int]
    """1-based, in the order of being seen."""
    name: Mapped[str] = mapped_column(Text)
    spoke: Mapped[bool] = mapped_column(default=False)


class Lease(Base):
    """Which host runs a bot, and until when that holds without being renewed."""

    __tablename__ = "bot_leases"
    __table_args__ = (
        Index("ix_bot_leases_expires_at", "expires_at"),
        Index("ix_bot_leases_host_id", "host_id"),
    )

    bot_id: Mapped[UUID] = mapped_column(ForeignKey("bots.id"), primary_key=True)
    host_id: Mapped[UUID]
    fencing_token: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """By the database's clock."""
    taken_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    participant_id: Mapped[str | None] = mapped_column(Text)
    """Under which id of the platform the bot is in its meeting; null until it is."""
