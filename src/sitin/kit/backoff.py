"""Exponential back-off with jitter, as a value."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times that double from ``initial`` up to ``maximum``.

    Attributes:
        jitter: Share by which each time varies at random, so that many clients spread out.
    """

    initial: timedelta
    maximum: timedelta
    jitter: float = 0.2

    def delay(self, failures: int) -> timedelta:
        """Return the waiting time after ``failures`` failures in a row; 1 is the first."""
        # The exponent is bounded: 2 ** 1000 seconds is no number of seconds.
        wait = min(self.initial * 2 ** min(failures - 1, 32), self.maximum)
        spread = random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - no secret
        return timedelta(seconds=wait.total_seconds() * spread)
