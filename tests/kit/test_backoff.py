"""``kit.backoff``."""

from datetime import timedelta

import pytest

from sitin.kit.backoff import Backoff

pytestmark = pytest.mark.unit


def test_the_delay_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=60), jitter=0)
    delays = [backoff.delay(failures).total_seconds() for failures in (1, 2, 3, 7, 1000)]
    assert delays == [1, 2, 4, 60, 60]


def test_the_delay_varies_within_the_jitter() -> None:
    backoff = Backoff(timedelta(seconds=10), timedelta(seconds=10), jitter=0.2)
    delays = {backoff.delay(1).total_seconds() for _ in range(100)}
    assert 8 <= min(delays) < max(delays) <= 12
