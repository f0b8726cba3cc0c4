"""The operator's settings: every ``SITIN_`` variable, its default, and what is wrong with it.

Read once per process by ``main`` and ``wiring``; other rooms get values, never settings. The
settings of transcription engines are beside the engines.
"""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sitin.accounts.ledger import TokenRates
from sitin.accounts.plans import Plans
from sitin.kit.errors import OperatorError
from sitin.providers.calendars.settings import CalendarSettings
from sitin.providers.transcription.settings import TranscriptionSettings
from sitin.runner.note_takers import NOTE_TAKERS, check_pattern

_CHROMIUM = Path("/usr/bin/chromium")
_HEADLESS_SHELL = Path("/usr/bin/chromium-headless-shell")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 3650 * _UNITS["d"]
_BOTS_PER_CORE = 2
_BYTES_PER_BOT = 600 * 1024 * 1024


def duration(value: object) -> object:
    """Read ``90s``, ``30m``, ``4h``, ``30d`` or seconds."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value.strip().lower())
    if match is None:
        raise ValueError("must be a duration like 90s, 30m, 4h or 30d")
    seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if seconds > _LONGEST:
        raise ValueError("must be a duration of ten years at most")
    return timedelta(seconds=seconds)


def _words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _port_or_none(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() == "none":
        return None
    return value


def _keys(value: object) -> object:
    return [one for one in re.split(r"[\s,]+", value) if one] if isinstance(value, str) else value


def _patterns(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "none":
        return ()
    return [check_pattern(one.strip()) for one in value.split(",") if one.strip()]


def _json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be a JSON object ({error})") from None


Duration = Annotated[timedelta, BeforeValidator(duration)]
Expanded = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


def default_max_bots() -> int:
    """What this machine carries: two bots a core, and what its memory holds of them.

    A recording bot takes a third of a core and half a gigabyte (docs/bench.md); what is left is
    for the meeting's worse moments.
    """
    by_cores = (os.cpu_count() or 1) * _BOTS_PER_CORE
    by_memory = int(psutil.virtual_memory().total * 0.8) // _BYTES_PER_BOT
    return max(1, min(by_cores, by_memory))


class Settings(BaseSettings):
    """Each field is the environment variable of its name with ``SITIN_`` before it."""

    model_config = SettingsConfigDict(
        env_prefix="SITIN_", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    data_dir: Expanded = Path("~/.local/share/sitin")
    """Database, keys, recordings and, by default, artifacts of this machine."""
    database_url: SecretStr | None = None
    """Any Postgres; unset, an embedded one in the data directory."""
    secret_keys: Annotated[list[SecretStr], NoDecode, BeforeValidator(_keys)] = []
    """Newest first, separated by commas; unset, generated in the data directory."""
    storage_url: str | None = None
    """``file:///directory`` or ``s3://bucket/prefix``; unset, the data directory."""
    storage_shared: bool = False
    """Says that a ``file://`` storage is the same directory on every machine."""
    s3_endpoint: str | None = None
    s3_public_endpoint: str | None = None
    """Where customers reach the bucket, when that is not ``s3_endpoint``."""
    public_url: HttpUrl | None = None
    """How customers reach this service; unset, the address it listens on."""
    browser_path: Path = _CHROMIUM
    lean_browser_path: Path | None = None
    """Chromium's headless shell, for bots that take the tracks; unset, the one beside the default
    browser where it is installed; ``none`` for no such browser."""
    browser_host_rules: str = ""
    browser_args: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = ()
    browser_media_addresses: str = ""
    """Private addresses that browsers may send media to; unset, those of the host rules."""
    allow_private_addresses: bool = False
    """Lets customers' addresses and bots reach private networks; for rehearsals and tests."""
    video: Literal["live", "dense"] = "live"
    max_recording: Duration = Field(default=timedelta(hours=4), gt=timedelta(0))
    max_bots: int = Field(default_factory=default_max_bots, ge=0)
    bot_memory: int = Field(default=2048, ge=256)
    """The most a bot's processes may have to themselves together, in MiB."""
    note_takers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_patterns)] = NOTE_TAKERS
    """Patterns of the names of other products' note takers, separated by commas. A bot does not
    stay in a meeting for them; ``none`` for no such names."""
    schedule_tolerance: Duration = Field(default=timedelta(minutes=15), ge=timedelta(0))
    """How late a scheduled bot is still sent after the service was down."""
    calendar_sync_every: Duration = Field(default=timedelta(hours=1), gt=timedelta(0))
    """How often a calendar is synced that pushes its changes; for what got lost."""
    calendar_poll_every: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))
    """The same for one that does not."""
    plans: Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_json)] = {}
    """Plans of teams, as JSON: what to change of the default ones, and further ones."""
    token_rates: Annotated[TokenRates, NoDecode, BeforeValidator(_json)] = TokenRates()
    """What bots cost, as JSON: what to change of the default rates."""
    webhook_retention: Duration = Field(default=timedelta(days=30), gt=timedelta(0))
    """How long messages to webhooks and callbacks, and the attempts to deliver them, are kept."""
    audit_retention: Duration = Field(default=timedelta(days=90), gt=timedelta(0))
    """How long entries of the audit log are kept."""
    metrics_host: str = "127.0.0.1"
    """Where the metrics port listens."""
    metrics_port: Annotated[int | None, BeforeValidator(_port_or_none)] = Field(
        default=9464, ge=0, le=65535
    )
    """The first port that is tried for a process's metrics; 0 for any free one, ``none`` for no
    port."""
    metrics_token: SecretStr | None = None
    """Whoever asks for metrics has to bear it; with one, the API's port answers them too."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("metrics_token")
    @classmethod
    def _can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{16,}", value.get_secret_value()):
            raise ValueError(
                "must have 16 or more printable ASCII characters, none of them a space"
            )
        return value

    @field_validator("plans")
    @classmethod
    def _are_plans(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        Plans.changed(value)
        return value

    @field_validator("browser_host_rules")
    @classmethod
    def _are_rules(cls, value: str) -> str:
        if value:
            # Imported where it is needed: few installs have any.
            from sitin.runner.proxy import HostRules

            HostRules(value)
        return value

    @field_validator("browser_media_addresses")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        if value:
            from sitin.runner.media_addresses import parse_media_addresses

            parse_media_addresses(value)
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"postgres(ql)?://", value.get_secret_value()):
            raise ValueError("must be an address like postgresql://user:password@host/name")
        return value

    @model_validator(mode="after")
    def _keys_go_with_the_database(self) -> "Settings":
        if self.database_url is not None and not self.secret_keys:
            raise ValueError(
                "SITIN_SECRET_KEYS must be set together with SITIN_DATABASE_URL: what is encrypted "
                "in the database can be read with them only"
            )
        return self

    @property
    def plain_metrics_token(self) -> str | None:
        """The token for metrics, as it is sent."""
        return None if self.metrics_token is None else self.metrics_token.get_secret_value()

    @property
    def all_plans(self) -> Plans:
        """Every plan of this install."""
        return Plans.changed(self.plans)

    @property
    def lean_browser(self) -> Path | None:
        """The browser for bots that take the tracks, if it is another one."""
        if self.lean_browser_path is not None:
            return None if str(self.lean_browser_path) == "none" else self.lean_browser_path
        if self.browser_path == _CHROMIUM and _HEADLESS_SHELL.exists():
            return _HEADLESS_SHELL
        return None

    @property
    def storage(self) -> str:
        """The address of the object store."""
        return self.storage_url or (self.data_dir / "artifacts").as_uri()


def load_settings() -> Settings:
    """The settings of this process' environment. Raises ``OperatorError``."""
    try:
        return Settings()
    except ValidationError as error:
        raise OperatorError(_sentence(error)) from None


def transcription_settings() -> TranscriptionSettings:
    """The settings of the transcription engines. Raises ``OperatorError``."""
    try:
        return TranscriptionSettings()
    except ValidationError as error:
        raise OperatorError(_sentence(error)) from None


def calendar_settings() -> CalendarSettings:
    """The addresses of the calendar platforms. Raises ``OperatorError``."""
    try:
        return CalendarSettings()
    except ValidationError as error:
        raise OperatorError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    what = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return f"{what}."
    return f"SITIN_{str(first['loc'][0]).upper()}: {what}."
