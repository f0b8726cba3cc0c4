"""When deliveries are tried again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.notifications.models import DeliveryKind
from sitin.notifications.schedule import Outcome, next_delay

pytestmark = pytest.mark.unit

WEBHOOK = [5, 10, 300, 900, 1800, 7200]


@pytest.mark.parametrize(("attempts", "seconds"), list(enumerate(WEBHOOK, 1)))
def test_webhooks_are_tried_again_by_the_schedule(attempts: int, seconds: int) -> None:
    delays = {
        next_delay(DeliveryKind.WEBHOOK, attempts, Outcome(status))
        for status in (None, 301, 404, 500, 503)
        for _ in range(20)
    }
    assert None not in delays
    for delay in delays:
        assert delay is not None
        assert 0.8 * seconds <= delay.total_seconds() <= 1.2 * seconds
    assert len(delays) > 1, "spread, so that receivers are not met all at once"


def test_webhooks_are_given_up_in_time_for_their_links() -> None:
    assert next_delay(DeliveryKind.WEBHOOK, 7, Outcome(500)) is None
    longest = sum(WEBHOOK) * 1.2 + 7 * 30
    assert longest < timedelta(hours=4).total_seconds()


@given(st.integers(1, 6))
def test_an_overloaded_receiver_gets_a_minute(attempts: int) -> None:
    for outcome in (Outcome(429), Outcome(None, timed_out=True)):
        delay = next_delay(DeliveryKind.WEBHOOK, attempts, outcome)
        assert delay is not None
        assert delay >= timedelta(seconds=60)


def test_callbacks_are_tried_again_when_the_receiver_failed() -> None:
    for outcome in (Outcome(500), Outcome(503), Outcome(None), Outcome(None, timed_out=True)):
        delays = [next_delay(DeliveryKind.CALLBACK, attempt, outcome) for attempt in range(1, 5)]
        assert delays == [timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=15), None]
    for status in (301, 400, 404, 429):
        assert next_delay(DeliveryKind.CALLBACK, 1, Outcome(status)) is None


def test_only_2xx_is_a_success() -> None:
    assert [s for s in (None, 199, 200, 204, 299, 300, 302, 404, 500) if Outcome(s).delivered] == [
        200,
        204,
        299,
    ]
