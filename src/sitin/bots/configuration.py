"""What a customer asks of a bot: checked beyond its form, turned into columns and back.

Used within bots, for those that go at once and those that go later, and by calendars.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from sitin.accounts.errors import OwnKeyNotAllowedError
from sitin.accounts.plans import Plan
from sitin.bots.errors import InvalidMeetingPlatformError, InvalidRequestError
from sitin.bots.models import CONFIGURATION, BotConfiguration
from sitin.bots.requests import BotConfigurationBody, CreateBotRequestBody
from sitin.kit.crypto import Keyring
from sitin.platforms.urls import MeetingUrl, is_web_address, recognise

PROVIDER = "gladia"
"""The one provider that a request can name."""

_WEB, _SOCKET = ("https", "http"), ("wss", "ws")


class AddressCheck(Protocol):
    """Tells whether an address that a customer gives may ever be asked; waits for nobody."""

    def __call__(self, url: str, schemes: Sequence[str]) -> str | None:
        """A sentence about why not, or ``None``."""
        ...


class Configurations:
    """Checks configurations and seals their secrets."""

    def __init__(self, *, keyring: Keyring, check_address: AddressCheck) -> None:
        self._keyring = keyring
        self._check_address = check_address

    def check(self, body: BotConfigurationBody, plan: Plan) -> None:
        """Find out what is wrong with values of the right type; asks no database.

        Raises ``InvalidRequestError`` or ``OwnKeyNotAllowedError``.
        """
        self._validate(body)
        _check_plan(body, plan)

    def check_with_meeting(self, body: CreateBotRequestBody, plan: Plan) -> MeetingUrl:
        """The same of a bot with a meeting, and whose meeting it is, in the contract's order.

        Raises ``InvalidMeetingPlatformError`` too.
        """
        self._validate(body)
        meeting = meeting_of(body.meeting_url)
        _check_plan(body, plan)
        return meeting

    def _validate(self, body: BotConfigurationBody) -> None:
        _check_callback(body)
        streaming, callback = body.streaming_config, body.callback_config
        fields: list[tuple[str, str | None, tuple[str, ...]]] = [
            ("bot_image", body.bot_image, ("https",)),
            ("zoom_access_token_url", body.zoom_access_token_url, _WEB),
            ("streaming_config.input_url", streaming.input_url if streaming else None, _SOCKET),
            ("streaming_config.output_url", streaming.output_url if streaming else None, _SOCKET),
            ("callback_config.url", callback.url if callback else None, _WEB),
        ]
        for name, url, schemes in fields:
            if url:
                self.check_url(name, url, schemes)

    def check_url(self, field: str, url: str, schemes: Sequence[str] = _WEB) -> None:
        """Raise ``InvalidRequestError`` for an address that will never be asked."""
        if refused := self._check_address(url, schemes):
            raise InvalidRequestError(field, refused)

    def columns(self, body: BotConfigurationBody) -> dict[str, Any]:
        """The columns of ``BotConfiguration`` but for those that tell which meeting it is."""
        callback, transcription = body.callback_config, body.transcription_config
        return {
            "bot_name": body.bot_name,
            "bot_image": body.bot_image,
            "recording_mode": body.recording_mode,
            "entry_message": body.entry_message,
            "waiting_room_timeout": body.timeout_config.waiting_room_timeout,
            "no_one_joined_timeout": body.timeout_config.no_one_joined_timeout,
            "silence_timeout": body.timeout_config.silence_timeout,
            "zoom_access_token_url": body.zoom_access_token_url,
            "extra": body.extra,
            "streaming_enabled": body.streaming_enabled,
            "streaming_config": (
                body.streaming_config.model_dump() if body.streaming_config else None
            ),
            "transcription_enabled": body.transcription_enabled,
            "transcription_params": transcription.custom_params if transcription else None,
            "transcription_api_key": self.seal(transcription.api_key if transcription else None),
            "callback_enabled": body.callback_enabled,
            "callback_url": callback.url if callback else None,
            "callback_method": callback.method if callback else "POST",
            "callback_secret": self.seal(callback.secret if callback else None),
        }

    def body_of_columns(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """What a request for this configuration says; the inverse of ``columns``."""
        row = SimpleNamespace(**columns)
        return {
            "bot_name": row.bot_name,
            "bot_image": row.bot_image,
            "recording_mode": row.recording_mode,
            "entry_message": row.entry_message,
            "timeout_config": {
                "waiting_room_timeout": row.waiting_room_timeout,
                "no_one_joined_timeout": row.no_one_joined_timeout,
                "silence_timeout": row.silence_timeout,
            },
            "zoom_access_token_url": row.zoom_access_token_url,
            "extra": row.extra,
            "streaming_enabled": row.streaming_enabled,
            "streaming_config": row.streaming_config,
            "transcription_enabled": row.transcription_enabled,
            "transcription_config": {
                "provider": PROVIDER,
                "api_key": self.open(row.transcription_api_key),
                "custom_params": row.transcription_params,
            },
            "callback_enabled": row.callback_enabled,
            "callback_config": (
                None
                if row.callback_url is None
                else {
                    "url": row.callback_url,
                    "method": row.callback_method,
                    "secret": self.open(row.callback_secret),
                }
            ),
        }

    def body_of(self, row: BotConfiguration) -> dict[str, Any]:
        """The same of a row, with the meeting it is about."""
        return {
            **self.body_of_columns({name: getattr(row, name) for name in CONFIGURATION}),
            "meeting_url": row.meeting_url,
            "allow_multiple_bots": row.allow_multiple_bots,
        }

    def open(self, sealed: str | None) -> str | None:
        """A secret in the clear."""
        return None if sealed is None else self._keyring.decrypt(sealed)

    def seal(self, secret: str | None) -> str | None:
        """A secret fit for the database."""
        return self._keyring.encrypt(secret) if secret else None


def meeting_columns(body: CreateBotRequestBody, meeting: MeetingUrl) -> dict[str, Any]:
    """The columns that tell which meeting it is."""
    given = body.meeting_url.strip()
    return {
        "meeting_url": given if _is_uri(given) else meeting.url,
        "joined_url": meeting.url,
        "platform": meeting.platform,
        "allow_multiple_bots": body.allow_multiple_bots,
    }


def meeting_of(text: str) -> MeetingUrl:
    """Whose meeting it is. Raises ``InvalidRequestError`` or ``InvalidMeetingPlatformError``."""
    meeting = recognise(text)
    if meeting is None:
        if not is_web_address(text.strip()):
            raise InvalidRequestError(
                "meeting_url", "must be an address like https://meet.google.com/abc-defg-hij."
            )
        raise InvalidMeetingPlatformError
    return meeting


def check_secret(field: str, secret: str | None) -> None:
    """Raise ``InvalidRequestError`` for a callback secret that no header can carry."""
    if secret and not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise InvalidRequestError(
            field, "must be ASCII without control characters and without a space at either end."
        )


def _check_plan(body: BotConfigurationBody, plan: Plan) -> None:
    transcription = body.transcription_config
    if transcription and transcription.api_key and not plan.own_transcription_keys:
        raise OwnKeyNotAllowedError(plan.name)


def _check_callback(body: BotConfigurationBody) -> None:
    if body.callback_enabled and body.callback_config is None:
        raise InvalidRequestError(
            "callback_config", "is needed, with a url, when callback_enabled is true."
        )
    if body.callback_config is not None:
        check_secret("callback_config.secret", body.callback_config.secret)


def _is_uri(text: str) -> bool:
    """Whether the text can stand where an address is promised: ASCII without spaces."""
    return is_web_address(text) and (
        text.isascii() and not any(character in ' "<>\\^`{|}' for character in text)
    )
