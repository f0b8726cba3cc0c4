"""What a bot that has ended used, in tokens by part. Pure; used by the lifecycle.

The rules are the public API's: a normal end costs everything used; refused at the door, the time
before it at the rate of recording; with a failed transcription everything but that; every other
failure nothing.
"""

from datetime import timedelta
from decimal import Decimal

from sitin.accounts.ledger import TokenRates
from sitin.bots.models import Bot
from sitin.contract.codes import BotStatus, EndReason, TranscriptionStatus

WAITED_FOR_NOTHING = frozenset({EndReason.BOT_NOT_ACCEPTED, EndReason.TIMEOUT_WAITING_TO_START})
"""Ends that cost the time in the waiting room."""

_HOUR = Decimal(3600)


def charges(bot: Bot, rates: TokenRates, *, waited: timedelta) -> dict[str, Decimal]:
    """Tokens by part, for a bot that is completed or failed; ``waited`` is before the door."""
    if bot.error_code in WAITED_FOR_NOTHING:
        return {"waiting": _for(waited.total_seconds(), rates.recording)}
    completed = BotStatus(bot.status) is BotStatus.COMPLETED
    if not completed and bot.error_code != EndReason.TRANSCRIPTION_FAILED:
        return {}
    seconds = bot.duration or 0.0
    parts = {"recording": _for(seconds, rates.recording)}
    # It may not have come to that: what was recorded had been deleted before.
    if bot.transcription_status == TranscriptionStatus.DONE:
        own = bot.transcription_api_key is not None
        rate = rates.transcription_own_key if own else rates.transcription
        parts["transcription"] = _for(seconds, rate)
    if bot.streaming_enabled and bot.streaming_config:
        if bot.streaming_config.get("input_url"):
            parts["streaming_input"] = _for(seconds, rates.streaming_input)
        if bot.streaming_config.get("output_url"):
            parts["streaming_output"] = _for(seconds, rates.streaming_output)
    return parts


def _for(seconds: float, per_hour: Decimal) -> Decimal:
    return round(max(seconds, 0.0)) * per_hour / _HOUR
