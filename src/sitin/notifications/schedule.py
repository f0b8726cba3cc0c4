"""When a delivery is tried again, and when it is given up. Used within notifications.

The numbers are the public API's: webhooks after 5 s, 10 s, 5 min, 15 min, 30 min and 2 h, each a
fifth more or less, at least a minute after an overloaded or silent receiver, and all within four
hours; callbacks after 1 s, 5 s and 15 s, only when the receiver could not be reached or failed
itself.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sitin.notifications.models import DeliveryKind

TIMEOUT = timedelta(seconds=30)
DISABLE_AFTER = timedelta(days=5)
WINDOW = timedelta(hours=4)
"""The retries above end within it; one that a jammed lane or an outage of ours made late does not,
and is not made."""

_WEBHOOK_RETRIES = tuple(timedelta(seconds=s) for s in (5, 10, 5 * 60, 15 * 60, 30 * 60, 2 * 3600))
_CALLBACK_RETRIES = tuple(timedelta(seconds=s) for s in (1, 5, 15))
_OVERLOADED_WAIT = timedelta(seconds=60)
_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to."""

    status: int | None
    """The HTTP status, or ``None`` when no answer came."""
    timed_out: bool = False

    @property
    def delivered(self) -> bool:
        """Only 2xx counts; a redirect is not followed."""
        return self.status is not None and 200 <= self.status < 300


def next_attempt_at(
    kind: DeliveryKind, attempts: int, outcome: Outcome, *, first_at: datetime, ended: datetime
) -> datetime | None:
    """When to try again what failed so at ``ended``; ``None`` gives up."""
    delay = next_delay(kind, attempts, outcome)
    if delay is None or not in_window(first_at, ended + delay):
        return None
    return ended + delay


def in_window(first_at: datetime, at: datetime) -> bool:
    """Whether a delivery first attempted at the one time may be attempted at the other."""
    return at <= first_at + WINDOW


def next_delay(kind: DeliveryKind, attempts: int, outcome: Outcome) -> timedelta | None:
    """How long to wait after the ``attempts``-th attempt failed so; ``None`` gives up."""
    if kind is DeliveryKind.CALLBACK:
        if attempts > len(_CALLBACK_RETRIES) or not _callback_retries_after(outcome):
            return None
        return _CALLBACK_RETRIES[attempts - 1]
    if attempts > len(_WEBHOOK_RETRIES):
        return None
    spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - spreads load, hides nothing
    delay = _WEBHOOK_RETRIES[attempts - 1] * spread
    overloaded = outcome.timed_out or outcome.status == 429
    return max(delay, _OVERLOADED_WAIT) if overloaded else delay


def _callback_retries_after(outcome: Outcome) -> bool:
    return outcome.status is None or outcome.status >= 500
